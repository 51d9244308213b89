"""Builds the images of `container/` without Docker and draws with them; what `make image-smoke` runs.

Debian is laid out by debootstrap and passed as the recipes' BASE; buildah builds in a chroot. Then each image
is started with the word SageMaker gives it, as its own user, without a network and with a model folder that
it cannot write. All of it lies in one folder, where a second run finds base, wheels and layers again.
"""
