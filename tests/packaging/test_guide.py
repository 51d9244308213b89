"""The guide's "pack and upload the models", as docs/from-the-guide.md shows it."""

from tests.aws.cloud import Cloud
from tests.docs.captured import hold
from tests.packaging.commands import Account, typed
from tests.packaging.model_files import model_folder


def test_folders_packing_and_uploading_are_printed_as_the_page_shows_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    cloud = Cloud()
    with cloud.gateway() as url:
        account = Account(cloud=cloud, url=url, bucket=cloud.make_bucket())
        known_as = {account.bucket: "imagine-dev-yourteam"}

        hold("init", typed(capsys, "models", "init", "models").out, known_as=known_as)
        model_folder(tmp_path / "models")
        hold("verify", typed(capsys, "models", "verify", "models").out, known_as=known_as)
        packed = typed(capsys, "models", "pack", "models", "--format", "archive", "-o", "model.tar.gz")
        hold("pack", packed.out, known_as=known_as)
        sent = typed(capsys, "models", "upload", "models", account.place, *account.where[2:])
        hold("upload", sent.out, known_as=known_as)
