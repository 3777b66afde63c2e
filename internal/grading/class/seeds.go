package class

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// minSecret is the least length of a secret: a run directory holds hashes that
// a shorter one could be guessed from.
const minSecret = 16

// Secret is what hidden seeds are derived from. The seeds of a submission are a
// function of the secret and of the submission's hash: the instructor gets the
// same again, and a student who does not know the secret can not know them.
type Secret struct {
	key   []byte
	Seeds int // how many hidden seeds each submission gets
}

// ReadSecret reads a secret from a file, which must not lie in the run directory.
func ReadSecret(path, out string, seeds int) (*Secret, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("the secret %s does not exist: make one with head -c 32 /dev/urandom > %s", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("class: %w", err)
	}
	if len(key) < minSecret {
		return nil, usage("the secret %s has %d bytes, want at least %d: make one with head -c 32 /dev/urandom > %s", path, len(key), minSecret, path)
	}
	if inside(path, out) {
		return nil, usage("the secret %s lies in the run directory %s, which is handed on: keep it elsewhere", path, out)
	}
	return &Secret{key: key, Seeds: seeds}, nil
}

func inside(path, dir string) bool {
	a, err1 := filepath.Abs(path)
	b, err2 := filepath.Abs(dir)
	if err1 != nil || err2 != nil {
		return false
	}
	rel, err := filepath.Rel(b, a)
	return err == nil && filepath.IsLocal(rel)
}

// seeds are the hidden seeds of a submission; none without a secret.
func (s *Secret) seeds(hash string) []uint64 {
	if s == nil {
		return nil
	}
	seeds := make([]uint64, s.Seeds)
	for i := range seeds {
		seeds[i] = max(1, binary.BigEndian.Uint64(s.sum(fmt.Sprintf("seed %d of %s", i, hash))))
	}
	return seeds
}

// fingerprint tells two secrets apart and gives neither away.
func (s *Secret) fingerprint() string {
	if s == nil {
		return ""
	}
	return hex.EncodeToString(s.sum("fingerprint")[:8])
}

func (s *Secret) sum(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
