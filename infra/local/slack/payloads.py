"""The JSON in which Slack describes its objects to an app."""

from typing import Any

from infra.local.slack.app import InstalledApp
from infra.local.slack.workspace import Channel, File, Message, User, Workspace


def user_payload(workspace: Workspace, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "team_id": workspace.team.id,
        "name": user.name,
        "real_name": user.display_name,
        "color": user.color.removeprefix("#"),
        "deleted": False,
        "is_bot": user.is_bot,
        "is_admin": False,
        "is_owner": False,
        "is_restricted": False,
        "is_ultra_restricted": False,
        "tz": "Etc/UTC",
        "profile": {"display_name": user.display_name, "real_name": user.display_name},
    }


def channel_payload(workspace: Workspace, channel: Channel) -> dict[str, Any]:
    if channel.is_im:
        person = next((member for member in channel.members if member != workspace.bot.id), workspace.bot.id)
        return {"id": channel.id, "is_im": True, "user": person, "is_archived": channel.is_archived}
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_member": workspace.bot.id in channel.members,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def message_payload(
    workspace: Workspace, message: Message, *, app: InstalledApp, base_url: str, with_metadata: bool = False
) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "type": "message",
        "user": message.user,
        "ts": message.ts,
        "team": workspace.team.id,
        "text": message.text,
    }
    if message.bot_id is not None:
        payload |= {"bot_id": message.bot_id, "app_id": app.id}
    for name in ("subtype", "thread_ts", "blocks", "attachments"):
        if (value := getattr(message, name)) is not None:
            payload[name] = value
    if message.files:
        payload["files"] = [
            file_payload(workspace, workspace.files[id_], base_url=base_url) for id_ in message.files
        ]
    if message.edited_ts is not None:
        payload["edited"] = {"user": message.user, "ts": message.edited_ts}
    if with_metadata and message.metadata is not None:
        payload["metadata"] = message.metadata
    return payload | _thread_payload(workspace, message)


def _thread_payload(workspace: Workspace, message: Message) -> dict[str, Any]:
    replies = [] if message.is_reply else workspace.replies(message.channel, message.ts)
    if not replies:
        return {"parent_user_id": _parent_user(workspace, message)} if message.is_reply else {}
    repliers = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": repliers,
        "reply_users_count": len(repliers),
        "latest_reply": replies[-1].ts,
    }


def _parent_user(workspace: Workspace, message: Message) -> str:
    parent = workspace.find(message.channel, message.thread_ts or "")
    return parent.user if parent else message.user


def file_payload(workspace: Workspace, file: File, *, base_url: str) -> dict[str, Any]:
    """A file as ``files.info`` shows it. Type and shares are empty until the file is ready."""
    if file.deleted:
        return {"id": file.id, "mode": "tombstone"}
    payload: dict[str, Any] = {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype if file.ready else "",
        "filetype": file.filetype if file.ready else "",
        "pretty_type": file.filetype.upper() if file.ready else "",
        "user": file.user,
        "user_team": workspace.team.id,
        "mode": "hosted",
        "editable": False,
        "is_external": False,
        "external_type": "",
        "size": len(file.content),
        "url_private": f"{base_url}{file_path(workspace, file)}",
        "url_private_download": f"{base_url}{file_path(workspace, file, download=True)}",
        "permalink": f"{base_url}/files/{file.user}/{file.id}/{file.name}",
        "is_public": bool(_shares(workspace, file, private=False)),
        "public_url_shared": False,
        "file_access": "visible",
        "channels": [],
        "groups": [],
        "ims": [],
        "shares": {},
    }
    if file.ready:
        payload |= _share_payload(workspace, file)
        if file.width is not None:
            payload |= {"original_w": file.width, "original_h": file.height}
    return payload


def file_path(workspace: Workspace, file: File, *, download: bool = False) -> str:
    middle = "download/" if download else ""
    return f"/files-pri/{workspace.team.id}-{file.id}/{middle}{file.name}"


def _share_payload(workspace: Workspace, file: File) -> dict[str, Any]:
    shares: dict[str, dict[str, list[dict[str, Any]]]] = {}
    lists: dict[str, list[str]] = {"channels": [], "groups": [], "ims": []}
    for message in file.shares:
        channel = workspace.channels[message.channel]
        kind = "private" if channel.is_private else "public"
        entry = {"ts": message.ts, "channel_name": channel.name, "team_id": workspace.team.id}
        if message.thread_ts is not None:
            entry["thread_ts"] = message.thread_ts
        shares.setdefault(kind, {}).setdefault(channel.id, []).append(entry)
        where = lists["ims" if channel.is_im else "groups" if channel.is_private else "channels"]
        if channel.id not in where:
            where.append(channel.id)
    return {"shares": shares, **lists}


def _shares(workspace: Workspace, file: File, *, private: bool) -> list[Message]:
    return [m for m in file.shares if workspace.channels[m.channel].is_private is private]
