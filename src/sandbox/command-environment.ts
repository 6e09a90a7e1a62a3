// What a command that tells a secret's value has in its environment.

/** Password managers and key rings look there. */
const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'XDG_RUNTIME_DIR',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'DBUS_SESSION_BUS_ADDRESS',
  'SSH_AUTH_SOCK',
];

export function commandEnvironment(): Record<string, string> {
  return Object.fromEntries(
    PASSED_ON.flatMap((each) => {
      const value = process.env[each];
      return value === undefined ? [] : [[each, value]];
    }),
  );
}
