"""The plots in TensorBoard are those of the page."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from medimg_gan.report.board import write_board
from medimg_gan.report.figures import all_plots
from medimg_gan.report.raster import DOTS, as_pixels
from medimg_gan.report.svg import COLOURS, WIDTH, area, dot, line, svg, text


def test_marks_are_drawn_where_and_as_the_page_has_them():
    parts = [
        dot(100, 40, "synthetic", 10),
        dot(200, 40, "baseline", 10),
        line(300, 40, 400, 40, ""),
    ]
    pixels = as_pixels(svg(80, [*parts, area([(500, 20), (540, 20), (540, 60)], "band probe")], ""))
    assert pixels.shape == (80 * DOTS, WIDTH * DOTS, 3)

    def at(x: float, y: float) -> tuple[int, ...]:
        return tuple(pixels[int(y * DOTS), int(x * DOTS)].tolist())

    def rgb(name: str) -> tuple[int, ...]:
        return tuple(int(COLOURS[name][k : k + 2], 16) for k in (1, 3, 5))

    assert at(100, 40) == at(92, 32) == rgb("synthetic")  # a square reaches its corners
    assert at(200, 40) == rgb("baseline")
    assert at(192, 32) == (255, 255, 255)
    assert at(350, 40)[0] < 200
    assert 200 < at(530, 30)[0] < 255  # a band is pale


def test_words_are_drawn():
    empty, said = (as_pixels(svg(40, [text(20, 20, words)], "")) for words in ("", "Synthetic"))
    assert (empty == 255).all()
    assert (said < 100).any()


def test_every_plot_and_grid_is_written_and_written_again(result, tmp_path):
    for _ in range(2):
        place = write_board(tmp_path, result.report, result.pictures)
    assert len(list(place.glob("events*"))) == 1
    events = EventAccumulator(str(place), size_guidance={"images": 0}).Reload()
    tags = set(events.Tags()["images"])
    drawn = {f"study/{name}" for name, plots in all_plots(result.report).items() if plots}
    assert drawn == {
        f"study/{name}" for name in ("scores", "differences", "ratios", "curves", "calibration")
    }
    assert drawn <= tags
    assert len(tags) == len(drawn) + len(result.pictures)
    assert len(events.Images("study/ratios")) == 2
