'use strict';

/**
 * For the emulator alone, which looks whether a bucket's name is taken before it looks at what a change set
 * imports: its validation (AWS's DisableValidation) is left out where a stage takes its own bucket in again.
 * Given to node with --require.
 */
const Adopt = require('../serverless/adopt.js');

const { adopt } = Adopt.prototype;
Adopt.prototype.adopt = function adoptUnvalidated(serverless) {
  adopt.call(this, serverless);
  for (const plugin of serverless.pluginManager.plugins.filter((each) => each.getCreateChangeSetParams)) {
    const told = plugin.getCreateChangeSetParams.bind(plugin);
    plugin.getCreateChangeSetParams = (options) => ({ ...told(options), DisableValidation: true });
  }
};
