// pip, uv, poetry: the index and its file host, read only. Uploads go to upload.pypi.org, which is not here.

import type { Profile } from './profile.ts';

export const pip: Profile = {
  about: 'Python packages, read only',
  files: ['requirements.txt', 'pyproject.toml', 'setup.py', 'setup.cfg', 'Pipfile', 'uv.lock', 'poetry.lock'],
  allow: [
    { host: 'pypi.org', registry: 'read' },
    { host: 'files.pythonhosted.org', registry: 'read' },
  ],
};
