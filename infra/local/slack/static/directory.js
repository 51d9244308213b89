/** Names for the ids that messages mention, from the workspace's state. */
export class Directory {
  #names = new Map();
  #channels = new Map();
  #me = null;

  read(state) {
    const people = [state.me, ...state.users, state.bot].filter(Boolean);
    this.#names = new Map(people.map((person) => [person.id, person.display_name || person.name]));
    this.#channels = new Map(state.channels.map((channel) => [channel.id, channel.name]));
    this.#me = state.me.id;
  }

  userName(id, label) {
    return this.#names.get(id) ?? label ?? id;
  }

  channelName(id, label) {
    return this.#channels.get(id) ?? label ?? id;
  }

  isMe(id) {
    return id === this.#me;
  }
}
