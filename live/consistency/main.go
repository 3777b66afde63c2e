// Command consistency is one process of grade live 6C or 6E: a server of one of lab 06's stores. It is built with the files of the lab that are to run.
package main

import (
	"time"

	"distlabs/live/process"
)

// gossip is slow enough to see an update travel.
const gossip = 200 * time.Millisecond

func main() {
	process.Main(func(p *process.Process) (process.Service, error) {
		if p.Policy == "" {
			return startEventual(p)
		}
		return startBasket(p)
	})
}
