// Package exit ends the process.
package exit

import (
	"os"
	"time"

	"distlabs/labrpc"
)

func Start(node *labrpc.Node) {
	time.AfterFunc(time.Second, func() { os.Exit(0) })
}
