#!/bin/sh
# Build, try and push the inference and the training image: infra/build_and_push.sh us-east-1
exec "$(dirname "$0")/../.venv/bin/imagine" image push "$@"
