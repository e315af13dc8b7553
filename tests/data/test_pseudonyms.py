import stat

from medimg_gan.data.pseudonyms import KEY_FILE, project_key, pseudonym


def test_a_pseudonym_is_stable_within_a_project_and_different_outside(tmp_path):
    one, other = project_key(tmp_path / "a"), project_key(tmp_path / "b")
    assert project_key(tmp_path / "a") == one
    assert pseudonym("Doe^Jane", one) == pseudonym("Doe^Jane", one)
    assert pseudonym("Doe^Jane", one) != pseudonym("Doe^Jane", other)
    assert pseudonym("Doe^Jane", one) != pseudonym("Doe^John", one)


def test_a_pseudonym_stays_as_it_is(tmp_path):
    key = project_key(tmp_path)
    name = pseudonym("Doe^Jane", key)
    assert pseudonym(name, key) == name
    assert "Doe" not in name


def test_the_key_is_for_its_owner_only(tmp_path):
    project_key(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
