package trust

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"unicode/utf16"
)

// JKS: entries and a digest with a password (sun.security.provider.JavaKeyStore in OpenJDK). Big-endian; texts have
// two bytes of length in front, keys and certificates four.

const (
	jksPassword = "changeit" // what every JDK is delivered with
	jksVersion  = 2
	jksKey      = 1
	jksTrusted  = 2
	jksWhitener = "Mighty Aphrodite"
	jksKind     = "X.509"
)

var jksMagic = []byte{0xfe, 0xed, 0xfe, 0xed}

// jksWith keeps a store whose password is another one as it is: its digest could not be made.
func jksWith(store []byte, ours [][]byte) ([]byte, error) {
	if len(store) < sha1.Size {
		return nil, errStore
	}
	content, digest := store[:len(store)-sha1.Size], store[len(store)-sha1.Size:]
	if made := jksDigest(content); !bytes.Equal(made, digest) {
		return nil, errStore
	}
	r := &jksReader{rest: content[len(jksMagic):]}
	if version := r.number(4); version != jksVersion {
		return nil, errStore
	}
	var kept []byte
	count := 0
	for range r.number(4) {
		from := r.rest
		alias := r.entry()
		if r.failed {
			return nil, errStore
		}
		if !isOurs(alias) {
			kept = append(kept, from[:len(from)-len(r.rest)]...)
			count++
		}
	}
	if len(r.rest) != 0 {
		return nil, errStore
	}
	made := append([]byte(nil), jksMagic...)
	made = binary.BigEndian.AppendUint32(made, jksVersion)
	made = binary.BigEndian.AppendUint32(made, uint32(count+len(ours)))
	made = append(made, kept...)
	for nr, certificate := range ours {
		made = binary.BigEndian.AppendUint32(made, jksTrusted)
		made = appendText(made, aliasOf(nr))
		made = binary.BigEndian.AppendUint64(made, 0) // when it was added; the same certificates make the same store
		made = appendText(made, jksKind)
		made = binary.BigEndian.AppendUint32(made, uint32(len(certificate)))
		made = append(made, certificate...)
	}
	return append(made, jksDigest(made)...), nil
}

func jksDigest(content []byte) []byte {
	h := sha1.New()
	for _, unit := range utf16.Encode([]rune(jksPassword)) {
		h.Write([]byte{byte(unit >> 8), byte(unit)})
	}
	h.Write([]byte(jksWhitener))
	h.Write(content)
	return h.Sum(nil)
}

func appendText(to []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(text))), text...)
}

type jksReader struct {
	rest   []byte
	failed bool
}

// entry reads one and answers its alias.
func (r *jksReader) entry() string {
	kind := r.number(4)
	alias := string(r.take(r.number(2)))
	r.take(8) // when it was added
	switch kind {
	case jksTrusted:
		r.certificate()
	case jksKey:
		r.take(r.number(4))
		for range r.number(4) {
			if r.certificate(); r.failed {
				break
			}
		}
	default:
		r.failed = true
	}
	return alias
}

func (r *jksReader) certificate() {
	r.take(r.number(2))
	r.take(r.number(4))
}

func (r *jksReader) number(bytes int) int {
	number := 0
	for _, b := range r.take(bytes) {
		number = number<<8 | int(b)
	}
	return number
}

func (r *jksReader) take(bytes int) []byte {
	if r.failed || bytes > len(r.rest) {
		r.failed = true
		return nil
	}
	taken := r.rest[:bytes]
	r.rest = r.rest[bytes:]
	return taken
}
