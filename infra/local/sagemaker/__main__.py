"""Run the stand-in by itself: ``python -m infra.local.sagemaker --help``."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session

from infra.local.children import Child, ChildFailed, Recipe, free_port
from infra.local.sagemaker.container import Container
from infra.local.sagemaker.endpoint import AsyncEndpoint, EndpointConfig
from infra.local.sagemaker.rehearsal import greeting, peers_of, rehearsal
from infra.local.sagemaker.runtime import SagemakerRuntime

READY_PATIENCE = 120.0


def main(arguments: list[str] | None = None) -> int:
    """Serve an asynchronous endpoint until Ctrl-C or SIGTERM.

    The exit status: 0 ended, 1 the inference server failed, 2 the port is taken or an option is wrong.
    """
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: ended.set())
    try:
        if options.whole_region:
            _serve_region(options, ended)
        else:
            _serve_endpoint(options, ended)
    except ChildFailed as failed:
        return _complain(str(failed), status=1)
    except OSError as error:
        return _complain(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}; try another --port")
    except ValueError as error:
        return _complain(str(error))
    print("ended")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.sagemaker",
        description="A SageMaker asynchronous endpoint on this machine, for unmodified AWS clients that find "
        "it through AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME. Faults: POST /_sagemaker/faults.",
    )
    add = parser.add_argument
    add("--port", type=int, default=4600, help="port on 127.0.0.1 (default 4600; 0 takes a free one)")
    add("--endpoint", default="imagine", help="the endpoint's name (default: %(default)s)")
    add("--container", metavar="URL", help="an inference server that runs already (default: start one)")
    add("--engine", default="pattern", help="engine of the one to start (default: %(default)s)")
    add("--log", type=Path, default=Path("var/sagemaker/inference-server.log"), help="its log")
    add("--whole-region", action="store_true", help="no endpoint yet: imagine endpoint apply makes it")
    add("--speed", type=float, default=1.0, help="of the region's time (default: as the clock goes)")
    add("--output-path", default="", metavar="S3URI", help="S3OutputPath, such as s3://bucket/out/")
    add("--failure-path", default="", metavar="S3URI", help="S3FailurePath, such as s3://bucket/failed/")
    add("--success-topic", metavar="ARN", help="SNS topic for results (default: none)")
    add("--error-topic", metavar="ARN", help="SNS topic for failures (default: none)")
    add("--include-response", action="store_true", help="put responses into the notices")
    add("--instances", type=int, default=1, help="running at first; 0 lets the queue wait (default: 1)")
    add("--concurrency", type=int, default=1, help="invocations an instance takes at once (default: 1)")
    add("--region", default="us-east-1", help="the region told in notices (default: %(default)s)")
    add("--aws", metavar="URL", help="address of S3 and SNS (default: as the AWS_ variables say)")
    return parser


def _serve_endpoint(options: argparse.Namespace, ended: threading.Event) -> None:
    _check_paths(options)
    with _container(options) as container, _runtime(options, container) as runtime:
        _greet(runtime, container)
        ended.wait()


def _serve_region(options: argparse.Namespace, ended: threading.Event) -> None:
    if options.speed <= 0:
        raise ValueError("--speed must be more than 0")
    with rehearsal(
        peers_of(lambda service: _client(service, options)),
        port=options.port,
        speed=options.speed,
        region=options.region,
        engine=options.engine,
        log=options.log,
        container=options.container,
    ) as server:
        print(*greeting(server.url), sep="\n", flush=True)
        ended.wait()


def _check_paths(options: argparse.Namespace) -> None:
    """Raises ValueError for a path that is no folder of a bucket."""
    for option in ("output_path", "failure_path"):
        path = getattr(options, option)
        if not path.startswith("s3://") or not path.endswith("/"):
            named = f"--{option.replace('_', '-')}"
            raise ValueError(f"{named}: a path looks like s3://bucket/folder/, not {path!r}")


@contextmanager
def _container(options: argparse.Namespace) -> Iterator[str]:
    """The address of an inference server; one that we started ends with us. Raises ChildFailed."""
    if options.container is not None:
        yield options.container
        return
    port = free_port()
    recipe = Recipe(
        name="inference server",
        command=[sys.executable, "-m", "container", "serve", "--port", str(port), "--engine", options.engine],
        ready_url=f"http://127.0.0.1:{port}/ping",
        log=options.log,
        environment={},
    )
    child = Child(recipe, environment=os.environ)  # noqa: TID251  a child inherits PATH and the like
    try:
        child.wait_ready(patience=READY_PATIENCE)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


@contextmanager
def _runtime(options: argparse.Namespace, container: str) -> Iterator[SagemakerRuntime]:
    endpoint = AsyncEndpoint(
        _config(options),
        container=Container(container),
        s3=_client("s3", options),
        sns=_client("sns", options),
        instances=options.instances,
    )
    try:
        runtime = SagemakerRuntime(endpoint, port=options.port)
    except BaseException:
        endpoint.close()
        raise
    with runtime:
        yield runtime


def _config(options: argparse.Namespace) -> EndpointConfig:
    topics = {"SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"} if options.include_response else set()
    return EndpointConfig(
        name=options.endpoint,
        output_path=options.output_path,
        failure_path=options.failure_path,
        success_topic=options.success_topic,
        error_topic=options.error_topic,
        include_in=frozenset(topics),
        concurrency=options.concurrency,
        region=options.region,
    )


def _client(service: str, options: argparse.Namespace) -> Any:
    """Something that stands in for AWS takes any credentials; the real one takes those of the environment."""
    session = botocore.session.Session()
    if options.aws is not None:
        session.set_credentials("local", "local")
    return session.create_client(service, region_name=options.region, endpoint_url=options.aws)


def _greet(runtime: SagemakerRuntime, container: str) -> None:
    print(f"endpoint   {runtime.endpoint.config.name}, drawing at {container}")
    print(f"clients    AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME={runtime.url}")
    print(f"control    {runtime.url}/_sagemaker/state", flush=True)


def _complain(sentence: str, *, status: int = 2) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
