"""Drawing with stable-diffusion-webui or Forge, kept in a process of its own and spoken to over HTTP.

webui is AGPL software. Nothing here imports it or is derived from it: it is started from a folder that the
operator chose, and reached by its documented `--api` on loopback. Tested against a stand-in only.
"""
