package trust

import (
	"bytes"
	"encoding/asn1"
	"unicode/utf16"
)

// PKCS#12 (RFC 7292) without a password and without encryption, as JDKs since 18 have it: a sequence of safes, each a
// sequence of bags. Ours is a safe of its own at the end.

var (
	oidData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidCertBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}
	// Oracle's: without it Java takes a certificate for part of a key's chain, and does not trust it.
	oidTrustedUsage = asn1.ObjectIdentifier{2, 16, 840, 1, 113894, 746875, 1, 1}
	oidAnyUsage     = asn1.ObjectIdentifier{2, 5, 29, 37, 0}
)

type pfx struct {
	Version int
	Safes   contentInfo
	Mac     asn1.RawValue `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content []byte `asn1:"tag:0,explicit,optional"`
}

type safeBag struct {
	ID         asn1.ObjectIdentifier
	Value      asn1.RawValue // [0] EXPLICIT
	Attributes []attribute   `asn1:"set,optional"`
}

type attribute struct {
	ID     asn1.ObjectIdentifier
	Values asn1.RawValue // SET
}

type certBag struct {
	ID          asn1.ObjectIdentifier
	Certificate []byte `asn1:"tag:0,explicit"`
}

func pkcs12With(store []byte, ours [][]byte) ([]byte, error) {
	var whole pfx
	if rest, err := asn1.Unmarshal(store, &whole); err != nil || len(rest) != 0 {
		return nil, errStore
	}
	// A digest with a password covers all of it; who set that one has to add ours.
	if whole.Mac.FullBytes != nil || !whole.Safes.Type.Equal(oidData) {
		return nil, errStore
	}
	var safes []asn1.RawValue
	if rest, err := asn1.Unmarshal(whole.Safes.Content, &safes); err != nil || len(rest) != 0 {
		return nil, errStore
	}
	var kept []asn1.RawValue
	for _, safe := range safes {
		without, err := safeWithoutOurs(safe)
		if err != nil {
			return nil, err
		}
		if without != nil {
			kept = append(kept, *without)
		}
	}
	own, err := safeOf(ours)
	if err != nil {
		return nil, err
	}
	content, err := asn1.Marshal(append(kept, own))
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(pfx{Version: whole.Version, Safes: contentInfo{oidData, content}})
}

// safeWithoutOurs is nil when nothing else is in it. An encrypted safe has nothing of ours.
func safeWithoutOurs(safe asn1.RawValue) (*asn1.RawValue, error) {
	var info contentInfo
	if _, err := asn1.Unmarshal(safe.FullBytes, &info); err != nil || !info.Type.Equal(oidData) {
		return &safe, nil
	}
	var bags, others []asn1.RawValue
	if _, err := asn1.Unmarshal(info.Content, &bags); err != nil {
		return nil, errStore
	}
	for _, bag := range bags {
		if !bagIsOurs(bag) {
			others = append(others, bag)
		}
	}
	switch len(others) {
	case len(bags):
		return &safe, nil
	case 0:
		return nil, nil
	}
	made, err := rawSafe(others)
	return &made, err
}

func bagIsOurs(bag asn1.RawValue) bool {
	var parsed safeBag
	if _, err := asn1.Unmarshal(bag.FullBytes, &parsed); err != nil {
		return false
	}
	for _, each := range parsed.Attributes {
		if !each.ID.Equal(oidFriendlyName) {
			continue
		}
		for nr := range 100 {
			if bytes.Equal(each.Values.Bytes, friendlyName(aliasOf(nr)).FullBytes) {
				return true
			}
		}
	}
	return false
}

func safeOf(certificates [][]byte) (asn1.RawValue, error) {
	usage, err := asn1.Marshal(oidAnyUsage)
	if err != nil {
		return asn1.RawValue{}, err
	}
	var bags []asn1.RawValue
	for nr, certificate := range certificates {
		value, err := asn1.Marshal(certBag{oidX509, certificate})
		if err != nil {
			return asn1.RawValue{}, err
		}
		bag, err := asn1.Marshal(safeBag{
			ID:    oidCertBag,
			Value: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: value},
			Attributes: []attribute{
				{oidFriendlyName, set(friendlyName(aliasOf(nr)).FullBytes)}, {oidTrustedUsage, set(usage)},
			},
		})
		if err != nil {
			return asn1.RawValue{}, err
		}
		bags = append(bags, asn1.RawValue{FullBytes: bag})
	}
	return rawSafe(bags)
}

func rawSafe(bags []asn1.RawValue) (asn1.RawValue, error) {
	content, err := asn1.Marshal(bags)
	if err != nil {
		return asn1.RawValue{}, err
	}
	safe, err := asn1.Marshal(contentInfo{oidData, content})
	return asn1.RawValue{FullBytes: safe}, err
}

func set(element []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: element}
}

// friendlyName is a BMPString, which encoding/asn1 does not write.
func friendlyName(alias string) asn1.RawValue {
	var text []byte
	for _, unit := range utf16.Encode([]rune(alias)) {
		text = append(text, byte(unit>>8), byte(unit))
	}
	return asn1.RawValue{FullBytes: append([]byte{asn1.TagBMPString, byte(len(text))}, text...)}
}
