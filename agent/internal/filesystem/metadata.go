package filesystem

import (
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// What an upload's X-Metadata- headers say is kept in extended attributes. The limits are envd's.
const (
	metadataHeader = "X-Metadata-"
	// metadataPrefix is how the attributes' names start.
	metadataPrefix = "user.e2b."
	// metadataKeyMaxBytes: an attribute's name has at most 255.
	metadataKeyMaxBytes = 255 - len(metadataPrefix)
	metadataMaxBytes    = 4096 // keys and values together
)

func parseMetadata(header http.Header) (map[string]string, error) {
	var found map[string]string
	total := 0
	for name, values := range header {
		key, ours := strings.CutPrefix(name, metadataHeader)
		if !ours {
			continue
		}
		key, value := strings.ToLower(key), strings.Join(values, ",")
		if key == "" || len(key) > metadataKeyMaxBytes || !printable(key) || !printable(value) {
			return nil, failed(http.StatusBadRequest, "invalid metadata %q: keys have 1 to %d bytes, and only printable ASCII is kept", key, metadataKeyMaxBytes)
		}
		if total += len(key) + len(value); total > metadataMaxBytes {
			return nil, failed(http.StatusBadRequest, "the metadata is larger than %d bytes", metadataMaxBytes)
		}
		if found == nil {
			found = map[string]string{}
		}
		found[key] = value
	}
	return found, nil
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// replaceMetadata: what an earlier upload said is gone.
func replaceMetadata(file *os.File, metadata map[string]string) error {
	fd := int(file.Fd())
	for _, attribute := range attributes(func(list []byte) (int, error) { return unix.Flistxattr(fd, list) }) {
		if key, ours := strings.CutPrefix(attribute, metadataPrefix); ours {
			if _, kept := metadata[key]; !kept {
				if err := unix.Fremovexattr(fd, attribute); err != nil {
					return err
				}
			}
		}
	}
	for key, value := range metadata {
		if err := unix.Fsetxattr(fd, metadataPrefix+key, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// readMetadata answers nil when there is none.
func readMetadata(path string, mode os.FileMode) map[string]string {
	if !mode.IsRegular() && !mode.IsDir() {
		return nil
	}
	var found map[string]string
	for _, attribute := range attributes(func(list []byte) (int, error) { return unix.Llistxattr(path, list) }) {
		key, ours := strings.CutPrefix(attribute, metadataPrefix)
		if !ours {
			continue
		}
		value := make([]byte, metadataMaxBytes)
		n, err := unix.Lgetxattr(path, attribute, value)
		if err != nil {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[key] = string(value[:n])
	}
	return found
}

// attributes are none where the file system has none.
func attributes(list func([]byte) (int, error)) []string {
	size, err := list(nil)
	if err != nil || size == 0 {
		return nil
	}
	names := make([]byte, size)
	if size, err = list(names); err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(names[:size]), "\x00"), "\x00")
}
