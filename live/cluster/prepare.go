package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"distlabs/labrpc"
	"distlabs/live/control"
	"distlabs/live/tcp"
)

// A Place is where a server of a prepared cluster will run.
type Place struct {
	Peers   string // host:port, for the other servers
	Clients string // host:port, for etcd's clients
	Files   string // its folder, as the server will see it
	Data    string // where it keeps its disk
}

// Prepare writes what the servers of a cluster need that something else starts: containers, or machines. In the folder of each server, n1 and
// so on, are its configuration, its own key and no other server's, and an empty folder for its disk.
func Prepare(dir, program string, places []Place) error {
	text, err := os.ReadFile(program)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	sum := sha256.Sum256(text)
	config := control.Config{
		Version: hex.EncodeToString(sum[:]), Processes: map[string]tcp.Process{}, Clients: map[labrpc.NodeID]string{}, Nodes: 2 * len(places),
		SnapshotEvery: snapshotEvery, History: history, Incarnation: 1, Quiet: true,
	}
	var names []string
	for i, p := range places {
		server, gateway := labrpc.NodeID(i+1), labrpc.NodeID(len(places)+i+1)
		config.Servers = append(config.Servers, server)
		config.Processes[Name(i+1)] = tcp.Process{Address: p.Peers, Nodes: []labrpc.NodeID{server, gateway}}
		config.Clients[gateway] = p.Clients
		names = append(names, Name(i+1))
	}
	keys, err := os.MkdirTemp("", "live-keys-")
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	defer os.RemoveAll(keys)
	if err := tcp.MakeKeys(keys, names); err != nil {
		return err
	}
	for i, p := range places {
		config.Process, config.Server, config.Gateway = names[i], config.Servers[i], config.Processes[names[i]].Nodes[1]
		config.Keys, config.Disk, config.Mirror = path.Join(p.Files, "keys"), path.Join(p.Data, "disk.db"), path.Join(p.Data, "mirror")
		if err := prepareOne(filepath.Join(dir, names[i]), keys, config); err != nil {
			return fmt.Errorf("live: %s: %w", names[i], err)
		}
	}
	return nil
}

// prepareOne writes the folder of one server.
func prepareOne(dir, keys string, config control.Config) error {
	for _, name := range []string{"keys", "data"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	for _, name := range []string{tcp.AuthorityFile, config.Process + ".pem"} {
		text, err := os.ReadFile(filepath.Join(keys, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "keys", name), text, 0o600); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600)
}
