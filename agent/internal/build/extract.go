package build

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"io"
	"os"

	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

const (
	sniffBytes = 4096
	// What an archive may become: 1 GiB of zeros is a megabyte.
	extractMaxBytes   = 64 << 30
	extractMaxEntries = 1_000_000
)

var errTooLarge = connect.Errorf("resource_exhausted", "cannot unpack the archive: it has more than %d bytes or %d entries", int64(extractMaxBytes), extractMaxEntries)

// extract stores what an archive holds. When it is none, `rest` gives the content from its beginning.
func (c *copier) extract(header *tar.Header, content io.Reader) (done bool, rest io.ReadCloser, err error) {
	kept, err := os.CreateTemp(c.scratch, "add-")
	if err != nil {
		return false, nil, err
	}
	_ = os.Remove(kept.Name())
	if _, err := io.CopyBuffer(struct{ io.Writer }{kept}, content, c.buffer); err != nil {
		kept.Close()
		return false, nil, err
	}
	if !isArchive(kept) {
		_, err := kept.Seek(0, io.SeekStart)
		return false, kept, err
	}
	defer kept.Close()
	folder, err := makeFolders(c.root, c.meant.Dest, c.owner(), c.mode)
	if err != nil {
		return false, nil, place.Error("unpack to", c.meant.Dest, err)
	}
	into := &writer{top: folder, by: c.by, mode: c.mode, replace: true, buffer: c.buffer}
	defer into.close()
	plain, err := decompressed(kept)
	if err != nil {
		return false, nil, connect.Errorf("invalid_argument", "cannot unpack %q: %v", header.Name, err)
	}
	entries := tar.NewReader(&limited{plain, extractMaxBytes})
	for count := 0; ; count++ {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return true, nil, into.finish()
		}
		if err != nil {
			return false, nil, connect.Errorf("invalid_argument", "cannot unpack the archive: %v", err)
		}
		if count >= extractMaxEntries {
			return false, nil, errTooLarge
		}
		if err := into.entry(entry, entries); err != nil {
			return false, nil, err
		}
	}
}

// isArchive: a tar begins in it, compressed or not.
func isArchive(file *os.File) bool {
	plain, err := decompressed(file)
	if err != nil {
		return false
	}
	_, err = tar.NewReader(io.LimitReader(plain, 1<<20)).Next()
	return err == nil
}

// decompressed reads the file from its beginning.
func decompressed(file *os.File) (io.Reader, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(file, sniffBytes)
	head, _ := buffered.Peek(6)
	switch {
	case hasMagic(head, "\x1f\x8b"):
		return gzip.NewReader(buffered)
	case hasMagic(head, "BZh"):
		return bzip2.NewReader(buffered), nil
	}
	return buffered, nil
}

func hasMagic(head []byte, magic string) bool {
	return len(head) >= len(magic) && string(head[:len(magic)]) == magic
}

type limited struct {
	from io.Reader
	left int64
}

func (l *limited) Read(into []byte) (int, error) {
	n, err := l.from.Read(into)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
