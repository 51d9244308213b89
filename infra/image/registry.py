"""ECR: the repository, the way in, and what it really holds."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from bot.aws.clients import ServiceClients
from infra.image.errors import NoImage
from infra.image.recipe import recipe_named

KEPT = 3
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One image as ECR tells it; `size` in bytes as stored."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    size: int
    pushed: datetime

    def reference(self, address: str) -> str:
        """By digest; `address` is the repository's."""
        return f"{address}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """`host` without a scheme. The token stays out of every repr."""

    host: str
    token: str

    def __repr__(self) -> str:
        return f"Login(host={self.host!r})"


@dataclass(frozen=True, slots=True)
class Registry:
    """The account's, in the clients' region. Hosts are those that AWS tells, whatever the partition."""

    clients: ServiceClients

    def login(self) -> Login:
        """For twelve hours."""
        granted = self.clients["ecr"].get_authorization_token()["authorizationData"][0]
        token = base64.b64decode(granted["authorizationToken"]).decode().partition(":")[2]
        return Login(host=granted["proxyEndpoint"].removeprefix("https://"), token=token)

    def address(self, repository: str) -> str | None:
        """Host and name, such as …amazonaws.com/imagine-diffusers; None where there is none."""
        try:
            told = self.clients["ecr"].describe_repositories(repositoryNames=[repository])
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise
            return None
        return str(told["repositories"][0]["repositoryUri"])

    def ensure(self, repository: str, *, tags: Mapping[str, str]) -> str:
        """Its address; made where it is absent: private, tags for good, scanned, the last three kept."""
        address = self.address(repository)
        if address is None:
            told = self.clients["ecr"].create_repository(
                repositoryName=repository,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())],
            )
            address = str(told["repository"]["repositoryUri"])
        self.clients["ecr"].put_lifecycle_policy(
            repositoryName=repository, lifecyclePolicyText=json.dumps(keep_last(KEPT))
        )
        return address

    def held(self, repository: str) -> tuple[Held, ...]:
        """The newest first; none where there is no repository."""
        try:
            pages = self.clients["ecr"].get_paginator("describe_images").paginate(repositoryName=repository)
            told = [image for page in pages for image in page["imageDetails"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "RepositoryNotFoundException":
                raise
            return ()
        found = [_held(repository, image) for image in told]
        return tuple(sorted(found, key=lambda image: image.pushed, reverse=True))

    def find(self, repository: str, tag: str) -> Held | None:
        """What was pushed under this tag."""
        return next((image for image in self.held(repository) if tag in image.tags), None)

    def manifest(self, reference: str) -> Mapping[str, Any]:
        """Of an image of this account, by digest. Raises NoImage."""
        repository, _, digest = reference.partition("/")[2].partition("@")
        told = self.clients["ecr"].batch_get_image(
            registryId=reference.partition(".")[0],
            repositoryName=repository,
            imageIds=[{"imageDigest": digest}],
            acceptedMediaTypes=list(MANIFESTS),
        )
        if not told["images"]:
            raise NoImage(f"{repository} holds no {digest[:19]}; imagine image push makes and pushes one")
        manifest: Mapping[str, Any] = json.loads(told["images"][0]["imageManifest"])
        return manifest


def newest_image(clients: ServiceClients, engine: str, *, repository: str = "") -> str:
    """The image pushed last for an engine of `endpoint.toml`, or "train", by digest. Raises NoImage."""
    name = repository or recipe_named(engine).repository
    registry = Registry(clients)
    address = registry.address(name)
    held = registry.held(name) if address else ()
    if not address or not held:
        option = "" if engine in {"diffusers", "train"} else f" --engine {engine}"
        raise NoImage(f"ECR holds no image {name}; imagine image push{option} makes and pushes one")
    return held[0].reference(address)


def keep_last(count: int) -> Mapping[str, Any]:
    """An ECR lifecycle policy."""
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count}
    rule = {"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}
    return {"rules": [rule]}


def _held(repository: str, told: Mapping[str, Any]) -> Held:
    return Held(
        repository=repository,
        digest=told["imageDigest"],
        tags=tuple(told.get("imageTags", ())),
        size=told.get("imageSizeInBytes", 0),
        pushed=told["imagePushedAt"],
    )
