// Package page does nothing.
package page

import "distlabs/labrpc"

func Start(node *labrpc.Node) {}
