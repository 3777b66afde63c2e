package cluster

import (
	"fmt"
	"time"

	"distlabs/live/control"
)

// askTime is how long an answer may take.
const askTime = 10 * time.Second

// Ask has a server's code do what a user asks, and returns what it says.
func (c *Cluster) Ask(server int, args ...string) (string, error) {
	answer := make(chan control.Answer, 1)
	c.mu.Lock()
	c.asked++
	number := c.asked
	c.answers[number] = answer
	p := c.running[Name(server)]
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.answers, number)
	}()
	if p == nil {
		return "", fmt.Errorf("live: %s does not run", Name(server))
	}
	p.tell(control.Command{Do: control.Ask, Number: number, Args: args})
	select {
	case a := <-answer:
		if a.Err != "" {
			return "", fmt.Errorf("live: %s: %s", Name(server), a.Err)
		}
		return Name(server) + ": " + a.Text, nil
	case <-p.ended:
		return "", fmt.Errorf("live: %s ended before it answered", Name(server))
	case <-time.After(askTime):
		return "", fmt.Errorf("live: %s did not answer within %v", Name(server), askTime)
	}
}
