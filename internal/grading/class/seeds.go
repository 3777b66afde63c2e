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

	"distlabs/internal/grading/result"
)

// minSecret is the least length of a secret: a run directory holds hashes that
// a shorter one could be guessed from.
const minSecret = 16

// Secret is what the further seeds of submissions are derived from. The seeds of a submission are a
// function of the secret and of the submission's hash: the instructor gets the
// same again, and a student who does not know the secret cannot know them.
type Secret struct {
	key   []byte
	known bool // it is not secret
	Seeds int  // how many further seeds each submission gets
}

// FurtherSeeds is how many further seeds a submission gets unless something else is asked for. Together with a test's own
// ten they take 1.3 times as long.
const FurtherSeeds = 3

// Known is in place of a secret where there is none: the seeds follow from the submission alone. Who has written a
// submission can compute them; but a table of them, written into the submission, changes them.
func Known(seeds int) *Secret { return &Secret{key: []byte("distlabs"), known: true, Seeds: seeds} }

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

// For returns the further seeds of a submission with that hash; none of a nil Secret.
func (s *Secret) For(hash string) []uint64 {
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
	if s == nil || s.known {
		return ""
	}
	return hex.EncodeToString(s.sum("fingerprint")[:8])
}

// authenticate returns the key with its MAC; with a secret that all know there is none.
func (s *Secret) authenticate(id string, key result.Key) result.Key {
	key.MAC = ""
	if s != nil && !s.known {
		key.MAC = hex.EncodeToString(s.sum(fmt.Sprintf("result %q %q %q %q", id, key.Run, key.Submission, key.Results)))
	}
	return key
}

// authentic reports whether a result of the run is one that was graded by someone who knows the secret.
func (s *Secret) authentic(id string, key result.Key) bool {
	return s == nil || s.known || hmac.Equal([]byte(s.authenticate(id, key).MAC), []byte(key.MAC))
}

func (s *Secret) sum(text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
