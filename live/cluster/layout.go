package cluster

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"distlabs/labrpc"
	"distlabs/live/control"
	"distlabs/live/tcp"
)

// lay makes the folder, the keys and the addresses.
func (c *Cluster) lay() error {
	if c.opts.Fresh {
		for i := range 9 {
			if err := os.RemoveAll(filepath.Join(c.opts.Dir, Name(i+1))); err != nil {
				return fmt.Errorf("live: %w", err)
			}
		}
	}
	if err := os.MkdirAll(c.opts.Dir, 0o777); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := c.checkSize(); err != nil {
		return err
	}
	names := []string{clientsProcess}
	for i := range c.opts.Servers {
		names = append(names, Name(i+1))
	}
	if err := tcp.MakeKeys(filepath.Join(c.opts.Dir, "keys"), names); err != nil {
		return err
	}
	return c.addresses()
}

// checkSize refuses data of a cluster of another size: the servers would not agree on what a majority is.
func (c *Cluster) checkSize() error {
	file := filepath.Join(c.opts.Dir, "servers")
	text, err := os.ReadFile(file)
	if _, old := os.Stat(filepath.Join(c.opts.Dir, Name(1))); err == nil && old == nil {
		if kept := string(text); kept != strconv.Itoa(c.opts.Servers) {
			return fmt.Errorf("live: the data under %s are those of %s servers: give --nodes %s, or --fresh to begin again", c.opts.Dir, kept, kept)
		}
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(c.opts.Servers)), 0o666); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	return nil
}

// addresses chooses a port for each listener: all are held until all are chosen, so that no two are the same.
func (c *Cluster) addresses() error {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	listen := func(port int) (string, error) {
		l, err := net.Listen("tcp", net.JoinHostPort(c.opts.Host, strconv.Itoa(port)))
		if err != nil {
			return "", fmt.Errorf("live: %w", err)
		}
		held = append(held, l)
		return l.Addr().String(), nil
	}
	n := c.opts.Servers
	for i := 1; i <= n; i++ {
		address, err := listen(0)
		if err != nil {
			return err
		}
		c.processes[Name(i)] = tcp.Process{Address: address, Nodes: []labrpc.NodeID{labrpc.NodeID(i)}}
		if c.opts.NoGateways {
			continue
		}
		c.processes[Name(i)] = tcp.Process{Address: address, Nodes: []labrpc.NodeID{labrpc.NodeID(i), labrpc.NodeID(n + i)}}
		port := 0
		if c.opts.Port > 0 {
			port = c.opts.Port + 10*(i-1)
		}
		if address, err = listen(port); err != nil {
			return err
		}
		c.clients[labrpc.NodeID(n+i)] = address
	}
	if c.opts.Clients > 0 {
		address, err := listen(0)
		if err != nil {
			return err
		}
		p := tcp.Process{Address: address}
		for k := range c.opts.Clients {
			p.Nodes = append(p.Nodes, labrpc.NodeID(2*n+1+k))
		}
		c.processes[clientsProcess] = p
	}
	return nil
}

// Name is the name of a server's process.
func Name(server int) string { return fmt.Sprintf("n%d", server) }

// Servers returns how many servers there are.
func (c *Cluster) Servers() int { return c.opts.Servers }

// Endpoints returns where etcd's clients find the gateways, in the order of the servers.
func (c *Cluster) Endpoints() []string {
	var list []string
	for i := 1; i <= c.opts.Servers && !c.opts.NoGateways; i++ {
		list = append(list, c.clients[labrpc.NodeID(c.opts.Servers+i)])
	}
	return list
}

// Nodes is how many nodes there are, gateways and clients included.
func (c *Cluster) Nodes() int {
	if c.opts.NoGateways {
		return c.opts.Servers
	}
	return 2*c.opts.Servers + c.opts.Clients
}

// config is what a process is told at its start. The caller holds c.mu.
func (c *Cluster) config(name string) control.Config {
	config := control.Config{
		Process: name, Version: c.version, Keys: filepath.Join(c.opts.Dir, "keys"), Processes: c.processes,
		Nodes: c.Nodes(), Policy: c.opts.Policy, Incarnation: c.starts[name], Watched: c.watched,
	}
	for i := 1; i <= c.opts.Servers; i++ {
		config.Servers = append(config.Servers, labrpc.NodeID(i))
	}
	for _, pair := range c.cuts {
		config.Before = append(config.Before, c.linksOf(control.Cut, pair)...)
	}
	for link, by := range c.slow {
		config.Before = append(config.Before, control.Command{Do: control.Slow, From: labrpc.NodeID(link[0]), To: labrpc.NodeID(link[1]), By: by})
	}
	if name != clientsProcess {
		nodes := c.processes[name].Nodes
		config.Server = nodes[0]
		if len(nodes) > 1 {
			config.Gateway = nodes[1]
		}
		config.Disk, config.Mirror = filepath.Join(c.opts.Dir, name, "disk.db"), filepath.Join(c.opts.Dir, name, "mirror")
		config.Clients = c.clients
		config.SnapshotEvery, config.History = c.opts.SnapshotEvery, c.opts.History
	}
	return config
}
