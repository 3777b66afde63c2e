// Package labrpc has the shape of the course's network, for the analyzers' tests.
package labrpc

import (
	"context"
	"math/rand/v2"
	"time"
)

type NodeID int

type Node struct{}

func (n *Node) ID() NodeID               { return 0 }
func (n *Node) Peers() []NodeID          { return nil }
func (n *Node) Context() context.Context { return nil }
func (n *Node) Rand() *rand.Rand         { return nil }
func (n *Node) Clock() *Clock            { return nil }
func (n *Node) Disk() *Disk              { return nil }

type Clock struct{}

func (c *Clock) Now() time.Time { return time.Time{} }

type Disk struct{}

func (d *Disk) Save(name string, v any) error { return nil }

func Send[M any](n *Node, to NodeID, method string, msg M) error { return nil }
func Call[R, A any](ctx context.Context, n *Node, to NodeID, method string, args A) (R, error) {
	var r R
	return r, nil
}
func Receive[M any](n *Node, method string, f func(from NodeID, msg M))      {}
func Handle[A, R any](n *Node, method string, f func(from NodeID, args A) R) {}
