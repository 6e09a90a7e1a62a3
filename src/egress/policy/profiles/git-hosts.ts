// The public git hosts, to fetch from: nothing is pushed by this, anywhere. Release files of GitHub come from hosts of
// their own, by redirects from github.com.

import type { Profile } from './profile.ts';

export const gitHosts: Profile = {
  about: 'git fetch from public hosts, and release files of GitHub',
  files: ['*'],
  allow: [
    { host: 'github.com', git: { fetch: true } },
    {
      host: 'github.com',
      methods: ['GET', 'HEAD'],
      paths: ['/*/*/archive/*', '/*/*/releases/download/*', '/*/*/raw/*'],
    },
    { host: 'codeload.github.com', methods: ['GET', 'HEAD'] },
    { host: 'raw.githubusercontent.com', methods: ['GET', 'HEAD'] },
    { host: 'objects.githubusercontent.com', methods: ['GET', 'HEAD'] },
    { host: 'release-assets.githubusercontent.com', methods: ['GET', 'HEAD'] },
    { host: 'gitlab.com', git: { fetch: true } },
    { host: 'bitbucket.org', git: { fetch: true } },
    { host: 'codeberg.org', git: { fetch: true } },
    { host: 'git.sr.ht', git: { fetch: true } },
  ],
};
