package gate

import (
	"slices"
	"strings"

	"distlabs/internal/grading/course"
)

// allowed is what every submission may import: what the stubs, references, alternatives and mutants of the labs use, and
// the pure packages that students reach for in their place (sort for slices, a heap for a queue, strconv for a key, another hash).
//
// None can open a file or a socket, start a program, print a caller's name and line, end the process, or keep state that
// two nodes could share. Whether one hands out a value of package reflect or an unsafe.Pointer, TestReach looks.
var allowed = strings.Fields(`
	bytes cmp container/heap container/list container/ring context
	crypto/aes crypto/cipher crypto/hmac crypto/md5 crypto/sha1 crypto/sha256 crypto/sha3 crypto/sha512 crypto/subtle
	encoding/binary encoding/hex errors fmt hash hash/fnv iter maps
	math math/bits math/cmplx math/rand math/rand/v2 slices sort strconv strings sync sync/atomic time unicode/utf16 unicode/utf8
	` + network)

// network is the package of the simulated network.
const network = course.Module + "/labrpc"

// nodes is the part of the network that a node has. The rest builds, breaks and watches networks: it is for tests, and
// with it a submission could compute what the tests' seeds will bring.
var nodes = strings.Fields(`Node NodeID Clock Disk Call Handle Send Receive Marshal Unmarshal
	ErrNoReply ErrDown ErrNoNode ErrNoMethod ErrType`)

// Allowed lists the packages that a submission of the lab may import.
func Allowed(lab course.Lab) []string { return slices.Concat(allowed, lab.Imports) }
