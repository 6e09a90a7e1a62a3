// Every limit of the product that more than one room needs, with its unit last. A limit is a promise:
// what is over it is refused with an error that names the number.

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const limits = {
  /** The generation of the agent's services; both sides must say the same number. */
  agentGeneration: 1,
  /** The generation of the daemon's API. */
  apiGeneration: 1,

  channelFramePayloadBytes: 16 * KIB,
  channelAckScanBytes: 1 * MIB,
  channelAttachTimeoutMs: 10_000,

  nameMaxChars: 40,
  memoryMinMib: 256,
  memoryMaxMib: 1024 * 1024,
  cpusMax: 64,
  diskMinGib: 1,
  diskMaxGib: 2048,

  journalRecordBytes: 64 * KIB,
  consoleLogBytes: 256 * KIB,
  requestBodyBytes: 1 * MIB,
  agentJsonBytes: 8 * MIB,

  handbackPackBytes: 2 * GIB,
  handbackInflatedBytes: 8 * GIB,
  handbackBlobBytes: 1 * GIB,
  handbackObjects: 2_000_000,
  handbackCommits: 100_000,
  handbackPathBytes: 4096,
  handbackTimeoutMs: 30 * 60_000,

  imageManifestBytes: 4 * MIB,
  imageConfigBytes: 8 * MIB,
  imageLayers: 500,
  /** Of one layer, not compressed. */
  imageLayerBytes: 64 * GIB,
  /** In all layers of an image together. */
  imageEntries: 1_000_000,
  imagePathBytes: 4096,
  imageTarHeaderBytes: 1 * MIB,
  imageXattrBytes: 64 * KIB,

  copyOutBytes: 64 * GIB,
  copyOutFiles: 1_000_000,
  copyPathBytes: 1024,
  copyDepth: 64,
} as const;
