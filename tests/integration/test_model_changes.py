"""What other programs do to the models folder while the server runs."""

from support.serving import StartServer, until


def test_a_model_that_another_program_removes_is_gone_until_it_is_back(start: StartServer) -> None:
    server = start()
    server.assert_serves()
    manifest = server.folder / "models/manifests/registry.ollama.ai/library/cria/latest"
    content = manifest.read_bytes()
    manifest.unlink()
    until(lambda: server.generate().status_code == 404)
    manifest.write_bytes(content)
    server.assert_serves()
