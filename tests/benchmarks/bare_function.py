"""A bare Bolt function beside the service: same region, same API, same package, a route of its own."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from infra.docs import ROOT
from infra.rehearsal.region import ACCOUNT, REGION
from infra.rehearsal.stage import Stage

NAME = "bare-echo"
ROUTE = "/slack/echo"
ECHO = Path(__file__).parent / "task_root" / "echo.py"


def deploy(stage: Stage) -> str:
    """The address at which it answers."""
    function = _function(stage)
    _, _, api = stage.api.partition("/execute-api/")
    gateway, api_id = stage.clients["apigatewayv2"], api.partition("/")[0]
    made = gateway.create_integration(
        ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    target = f"integrations/{made['IntegrationId']}"
    gateway.create_route(ApiId=api_id, RouteKey=f"POST {ROUTE}", Target=target)
    stage.clients["lambda"].add_permission(
        FunctionName=NAME,
        StatementId="gateway",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/*",
    )
    return f"{stage.api}{ROUTE}"


def _function(stage: Stage) -> str:
    """Its ARN."""
    package = stage.home / "echo.zip"
    shutil.copyfile(ROOT / "build" / "accept.zip", package)
    with zipfile.ZipFile(package, "a") as archive:
        archive.write(ECHO, ECHO.name)
    made: dict[str, Any] = stage.clients["lambda"].create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Handler="echo.handler",
        Role=_role(stage),
        MemorySize=1024,
        Timeout=10,
        Code={"ZipFile": package.read_bytes()},
        Environment={"Variables": {"ECHO_SECRET": stage.signing.secret}},
    )
    arn: str = made["FunctionArn"]
    return arn


def _role(stage: Stage) -> str:
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "lambda.amazonaws.com"},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = stage.clients["iam"].create_role(RoleName=NAME, AssumeRolePolicyDocument=document)
    arn: str = made["Role"]["Arn"]
    return arn
