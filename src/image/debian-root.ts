// What is done to a Debian tree before it becomes a layer, as hooks for mmdebstrap: each is a shell line in which
// "$1" is the tree.

/** The layer's name inside the tree, from where it is copied out. */
export const LAYER_IN_ROOT = 'layer.erofs';

/** The same content gives the same layer. */
const FIXED_UUID = '00000000-0000-4000-8000-000000000000';

export function customizeHooks(user: string, exchange: string): string[] {
  return [
    `chroot "$1" useradd --create-home --uid 1000 --shell /bin/bash ${user}`,
    `printf '%s ALL=(ALL:ALL) NOPASSWD: ALL\\n' ${user} > "$1/etc/sudoers.d/${user}" && chmod 0440 "$1/etc/sudoers.d/${user}"`,
    'install -d -o 1000 -g 1000 "$1/workspaces"',
    // Without manuals the folder is missing, and packages that link theirs into it (Java's) cannot be installed.
    'install -d "$1/usr/share/man/man1"',
    // What comes over TLS can be kept for all sandboxes (docs/CACHES.md); these two hosts are served so as well.
    `sed -i -E 's,http://(deb|security)\\.debian\\.org/,https://\\1.debian.org/,' "$1/etc/apt/sources.list"`,
    `printf 'LANG=C.UTF-8\\n' > "$1/etc/default/locale"`,
    'rm -f "$1/etc/resolv.conf" && : > "$1/etc/resolv.conf" && : > "$1/etc/machine-id"',
    `printf 'warren\\n' > "$1/etc/hostname" && printf '127.0.0.1 localhost\\n::1 localhost\\n' > "$1/etc/hosts"`,
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/var/cache/apt/archives/*.deb "$1"/var/log/* "$1"/usr/share/locale/[a-bd-z]*',
    // The tree has /proc and the like mounted; a bind mount shows it without them.
    `mkdir "$1.bare" && mount --bind "$1" "$1.bare" && mkfs.erofs --quiet -T0 -U ${FIXED_UUID} --exclude-path=${LAYER_IN_ROOT} "$1/${LAYER_IN_ROOT}" "$1.bare"; made=$?; umount "$1.bare"; rmdir "$1.bare"; exit $made`,
    `copy-out /${LAYER_IN_ROOT} ${exchange}`,
  ];
}
