from mtl_cli.runs.execution import resume_command
from tests import _toy


def test_the_resume_command_names_what_own_classes_need(tmp_path):
    command = resume_command(tmp_path / "my run", _toy.config(), ["mtl-train", "--config-dir", "conf", "task=x"])
    assert command == f"mtl-train 'resume={tmp_path}/my run' 'trust=[tests]' --config-dir conf"
    plain = resume_command(tmp_path, {"tasks": {"a": {"_target_": "mtl_cli.x.Y"}}}, ["mtl-train"])
    assert plain == f"mtl-train resume={tmp_path}"
