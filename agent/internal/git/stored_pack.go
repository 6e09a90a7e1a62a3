package git

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A pack and its index are stored as the host made them, under the name that git would give them. Only their
// trailers are compared, which tells a torn transfer and a mixed-up pair; git itself checks every object it reads.

type storedPack struct {
	folders   *folders
	folder    string
	hashBytes int
	checksum  []byte // of the pack, once stored
}

const (
	incoming  = "tmp_pack_warren"
	copyBytes = 1 << 20
)

func (p *storedPack) storePack(content io.Reader) error {
	path := filepath.Join(p.folder, incoming)
	trailer, err := p.storeFile(path, content, p.hashBytes)
	if err != nil {
		return err
	}
	p.checksum = trailer
	return os.Rename(path, p.named(".pack"))
}

// storeIndex comes after storePack: git uses a pack once its index is there.
func (p *storedPack) storeIndex(content io.Reader) error {
	path := filepath.Join(p.folder, incoming)
	trailer, err := p.storeFile(path, content, 2*p.hashBytes)
	if err != nil {
		return err
	}
	if !bytes.Equal(trailer[:p.hashBytes], p.checksum) {
		return invalid("a pack's index belongs to another pack")
	}
	return os.Rename(path, p.named(".idx"))
}

func (p *storedPack) named(suffix string) string {
	return filepath.Join(p.folder, "pack-"+hex.EncodeToString(p.checksum)+suffix)
}

// storeFile returns the last bytes of the content.
func (p *storedPack) storeFile(path string, content io.Reader, tailBytes int) ([]byte, error) {
	last := &tail{max: tailBytes}
	if err := p.folders.writeFrom(path, 0o444, bufferedCopy{io.TeeReader(content, last)}); err != nil {
		return nil, err
	}
	if len(last.bytes) < tailBytes {
		return nil, invalid("a pack or its index is shorter than its checksum")
	}
	return last.bytes, nil
}

// tail remembers the last max bytes written to it.
type tail struct {
	bytes []byte
	max   int
}

func (t *tail) Write(data []byte) (int, error) {
	if len(data) >= t.max {
		t.bytes = append(t.bytes[:0], data[len(data)-t.max:]...)
		return len(data), nil
	}
	t.bytes = append(t.bytes, data...)
	if extra := len(t.bytes) - t.max; extra > 0 {
		t.bytes = append(t.bytes[:0], t.bytes[extra:]...)
	}
	return len(data), nil
}

// bufferedCopy copies in large pieces: each read of the channel costs a switch between kernel and program.
type bufferedCopy struct{ io.Reader }

func (b bufferedCopy) WriteTo(w io.Writer) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{b.Reader}, make([]byte, copyBytes))
}

func stringReader(text string) io.Reader { return strings.NewReader(text) }
