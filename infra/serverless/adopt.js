'use strict';

/**
 * Lets a stage that was removed without its data be deployed again: the table and the bucket, which the last
 * stack left behind, come into the new one instead of being in its way. Osls 4.3 has no setting for it.
 * CloudFormation takes only what bears its literal name and is retained (CreateChangeSet, ImportExistingResources).
 */
class Adopt {
  constructor(serverless) {
    this.hooks = { 'before:deploy:deploy': () => this.adopt(serverless) };
  }

  adopt(serverless) {
    const deploying = serverless.pluginManager.plugins.filter((plugin) => plugin.getCreateChangeSetParams);
    if (!deploying.length) throw new Error('osls makes change sets in another way now: see infra/serverless/adopt.js');
    for (const plugin of deploying) {
      const told = plugin.getCreateChangeSetParams.bind(plugin);
      plugin.getCreateChangeSetParams = (options) => ({ ...told(options), ImportExistingResources: true });
    }
  }
}

module.exports = Adopt;
