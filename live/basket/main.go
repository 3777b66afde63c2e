// Command basket is one process of grade live 6E: a member of lab 06's set of items, under CP or AP. It is built with the files of the lab that are to run.
package main

import (
	"fmt"
	"strings"
	"time"

	consistency "distlabs/labs/06-consistency"
	"distlabs/live/control"
	"distlabs/live/process"
)

const (
	timeout = 3 * time.Second // after which CP refuses
	gossip  = 200 * time.Millisecond
)

func main() { process.Main(start) }

func start(p *process.Process) (process.Service, error) {
	policy := consistency.CP
	if p.Policy == "AP" {
		policy = consistency.AP
	}
	node := p.Network.Start(p.Server)
	basket := consistency.NewBasket(node, consistency.BasketOptions{Policy: policy, Members: p.Servers, Timeout: timeout, Gossip: gossip})
	status := func() control.Report {
		return control.Report{Status: &control.Status{Lost: p.Carrier.Lost(), Problems: p.Network.Misuses()}, Cells: []control.Cell{{Name: "policy", Value: policy.String()}}}
	}
	p.Reports.Say(status())
	return process.Service{Node: node, Status: status, Ask: func(args []string) (string, error) { return ask(basket, args) }}, nil
}

// ask does what a user asks of this member.
func ask(basket *consistency.Basket, args []string) (string, error) {
	switch args[0] {
	case "add":
		return "done", basket.Add(args[1])
	case "items":
		items, err := basket.Items()
		return fmt.Sprintf("%d items: %s", len(items), strings.Join(items, " ")), err
	}
	return "", fmt.Errorf("a member cannot %s", args[0])
}
