// Package lab stands in for a lab: each method makes one mistake of a student's.
package lab

import "time"

// Node is what the tests run.
type Node struct {
	votes int
	log   map[int]int
}

// Write panics in a goroutine of its own.
func (n *Node) Write() {
	go func() {
		n.log[1] = n.votes // panics
	}()
	time.Sleep(time.Second)
}

// Race counts twice at once.
func (n *Node) Race() {
	go func() { // starts
		n.votes++ // first
	}()
	n.votes++ // second
	time.Sleep(time.Second)
}
