package mac

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
)

func sign(key, text []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(text)
	return h.Sum(nil)
}

func short(key, text []byte) [8]byte { return [8]byte(sign(key, text)) }

func wrong(key, text, got []byte, brief [8]byte) bool {
	if string(got) == string(sign(key, text)) { // want `a MAC is compared as if it were any value`
		return true
	}
	want := sign(key, text)
	if bytes.Equal(got, want[:16]) { // want `Use hmac.Equal`
		return true
	}
	return brief != short(key, text) // want `Use hmac.Equal`
}

func right(key, text, got []byte) bool {
	want := sign(key, text)
	return want != nil && hmac.Equal(got, want) && bytes.Equal(text, got) && sha256.Sum256(text) == sha256.Sum256(got)
}
