package trust

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The stores of testdata are of keytool: two certificates in JKS, in PKCS#12 without a password, and in PKCS#12 with one.
const (
	jks      = "testdata/store.jks"
	pkcs12   = "testdata/store.p12"
	password = "testdata/password.p12"
)

func der(t *testing.T, certificate string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	return block.Bytes
}

func testStore(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestJavaStores(t *testing.T) {
	for _, name := range []string{jks, pkcs12} {
		before := testStore(t, name)
		first, second := der(t, certificate(t)), der(t, certificate(t))
		with := func(store []byte, ours ...[]byte) []byte {
			t.Helper()
			made, err := storeWith(store, ours)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return made
		}
		one := with(before, first)
		if !bytes.Contains(one, first) || bytes.Contains(before, first) {
			t.Fatalf("%s: ours is not in it", name)
		}
		if again := with(one, first); !bytes.Equal(again, one) {
			t.Fatalf("%s: it changes each time", name)
		}
		two := with(one, second, first)
		if !bytes.Contains(two, second) || bytes.Count(two, first) != 1 {
			t.Fatalf("%s: the earlier one stays", name)
		}
		if back := with(two, first); !bytes.Equal(back, one) {
			t.Fatalf("%s: another way, another store", name)
		}
	}
}

func TestJavaStoresThatAreNotOurs(t *testing.T) {
	ours := [][]byte{der(t, certificate(t))}
	whole := testStore(t, jks)
	otherPassword := append([]byte(nil), whole...)
	otherPassword[len(otherPassword)-1] ^= 1
	for what, store := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "a digest of another password": otherPassword, "PKCS#12 with a password": testStore(t, password),
	} {
		if made, err := storeWith(store, ours); err == nil {
			t.Errorf("%s became %d bytes", what, len(made))
		}
	}
}

func TestJavaStoresThatAreCutOrSpoiled(t *testing.T) {
	ours := [][]byte{der(t, certificate(t))}
	for _, name := range []string{jks, pkcs12} {
		whole := testStore(t, name)
		for at := range whole {
			if made, err := storeWith(whole[:at], ours); err == nil {
				t.Fatalf("%s cut at %d became %d bytes", name, at, len(made))
			}
			spoiled := append([]byte(nil), whole...)
			spoiled[at] ^= 0xff
			_, _ = storeWith(spoiled, ours) // does not panic
			if name == jks && at > 4 {
				// With a digest that fits, so that the entries are read.
				content := spoiled[:len(spoiled)-20]
				_, _ = storeWith(append(append([]byte(nil), content...), jksDigest(content)...), ours)
			}
		}
	}
}

// Each store is written once, keeps its mode, and is found behind links.
func TestJavaStoresAreFound(t *testing.T) {
	root := t.TempDir()
	system, vendor := "/etc/ssl/certs/java/cacerts", "/opt/java/openjdk/lib/security/cacerts"
	link := "/usr/lib/jvm/java-17/lib/security/cacerts"
	for path, store := range map[string]string{system: jks, vendor: pkcs12} {
		if err := os.MkdirAll(filepath.Dir(root+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(root+path, testStore(t, store), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(root+link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root+system, root+link); err != nil {
		t.Fatal(err)
	}
	if found := javaStores(root); len(found) != 2 {
		t.Fatal(found)
	}
	ours := certificate(t)
	s := New(root)
	if _, err := s.trust(nil, &trustRequest{ours}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{system, vendor, link} {
		if !bytes.Contains([]byte(read(t, root+path)), der(t, ours)) {
			t.Fatalf("not in %s", path)
		}
	}
	before, _ := os.Stat(root + system)
	if _, err := s.trust(nil, &trustRequest{ours}); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(root + system); !os.SameFile(before, after) || after.Mode().Perm() != 0o640 {
		t.Fatalf("written again, or with another mode: %v", after.Mode())
	}
}

// What Java itself says of them.
func TestJavaReadsItsStores(t *testing.T) {
	if _, err := exec.LookPath("keytool"); err != nil {
		t.Skip("keytool is not installed here")
	}
	for _, name := range []string{jks, pkcs12} {
		path := filepath.Join(t.TempDir(), "cacerts")
		ours := certificate(t)
		made, err := storeWith(testStore(t, name), [][]byte{der(t, ours), der(t, certificate(t))})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, made, 0o644); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command("keytool", "-list", "-rfc", "-storepass", jksPassword, "-keystore", path).CombinedOutput()
		text := strings.ReplaceAll(string(said), "\r", "")
		if err != nil || strings.Count(text, "Entry type: trustedCertEntry") != 4 || !strings.Contains(text, ours) {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		for _, alias := range []string{"one", "two", "warren", "warren-2"} {
			if !strings.Contains(text, "Alias name: "+alias+"\n") {
				t.Errorf("%s has no %s:\n%s", name, alias, text)
			}
		}
	}
}
