"""A local Slack workspace: Web API, signed interactions, Socket Mode and a web page, all in memory.

Inward: ``routes`` (bot), ``page_routes`` (person) -> ``web_api`` -> ``workspace`` (state) -> its listeners.
Outward: ``interactions`` (payloads) -> ``delivery`` (signing, deadline) -> HTTP or ``socket_mode``.
``docs/local-slack.md`` lists every rule with its source and how sure it is.
"""
