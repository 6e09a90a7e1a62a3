package trust

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Java looks at no file of the system and at no variable: it has a store of its own. Its tool would take seconds on an
// emulated CPU, for each store, so the two formats that stores are delivered in are written here.

const (
	javaAlias     = "warren"
	storeMaxBytes = 8 << 20
)

// Where runtimes are, as distributions, vendors' images and sdkman lay them out.
var javaHomes = []string{
	"/usr/lib/jvm/*", "/usr/java/*", "/usr/local/*", "/usr/local/sdkman/candidates/java/*", "/opt/*", "/opt/java/*",
}

var javaSystemStores = []string{"/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts"}

var errStore = errors.New("not a store of certificates that is understood")

// javaStores finds those that are there, each once.
func javaStores(root string) []string {
	var candidates []string
	for _, store := range javaSystemStores {
		candidates = append(candidates, root+store)
	}
	for _, home := range javaHomes {
		for _, store := range []string{"/lib/security/cacerts", "/jre/lib/security/cacerts"} {
			found, _ := filepath.Glob(root + home + store)
			candidates = append(candidates, found...)
		}
	}
	var stores []string
	seen := map[string]bool{}
	for _, candidate := range candidates {
		if real, err := filepath.EvalSymlinks(candidate); err == nil && !seen[real] {
			seen[real] = true
			stores = append(stores, real)
		}
	}
	return stores
}

// writeJava adds the certificates to each store. One that is not understood stays as it is.
func writeJava(root string, certificates []byte) {
	var ours [][]byte
	for block, rest := pem.Decode(certificates); block != nil; block, rest = pem.Decode(rest) {
		ours = append(ours, block.Bytes)
	}
	for _, store := range javaStores(root) {
		_ = addToStore(store, ours)
	}
}

func addToStore(path string, ours [][]byte) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	before, err := io.ReadAll(io.LimitReader(file, storeMaxBytes+1))
	if err != nil || len(before) > storeMaxBytes {
		return errors.Join(err, errStore)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	after, err := storeWith(before, ours)
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	made := path + newSuffix
	if err := os.WriteFile(made, after, info.Mode().Perm()); err != nil {
		return err
	}
	if owner, is := info.Sys().(*syscall.Stat_t); is {
		_ = os.Lchown(made, int(owner.Uid), int(owner.Gid))
	}
	return os.Rename(made, path)
}

// storeWith is the store with ours at its end, in place of earlier ones.
func storeWith(store []byte, ours [][]byte) ([]byte, error) {
	if bytes.HasPrefix(store, jksMagic) {
		return jksWith(store, ours)
	}
	return pkcs12With(store, ours)
}

func aliasOf(nr int) string {
	if nr == 0 {
		return javaAlias
	}
	return javaAlias + "-" + strconv.Itoa(nr+1)
}

func isOurs(alias string) bool {
	nr, numbered := strings.CutPrefix(alias, javaAlias+"-")
	_, err := strconv.Atoi(nr)
	return alias == javaAlias || numbered && err == nil
}
