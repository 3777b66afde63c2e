package tcp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// MakeKeys makes the keys of a cluster in a folder, if it has none: an authority, which signs and is then forgotten, and
// for each process a key and a certificate with the process's name. A process trusts the certificates of its own cluster
// and no others.
func MakeKeys(dir string, processes []string) error {
	if _, err := os.Stat(filepath.Join(dir, AuthorityFile)); err == nil {
		missing := false
		for _, name := range processes {
			_, err := os.Stat(filepath.Join(dir, name+".pem"))
			missing = missing || err != nil
		}
		if !missing {
			return nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("live: keys: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("live: keys: %w", err)
	}
	authority := template("distlabs live")
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	root, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		return err
	}
	for _, name := range processes {
		if err := makeKey(dir, name, authority, key); err != nil {
			return fmt.Errorf("live: the key of %s: %w", name, err)
		}
	}
	// Last: with it the folder is complete.
	return os.WriteFile(filepath.Join(dir, AuthorityFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root}), 0o600)
}

// AuthorityFile is what each process needs beside its own file: the certificate of the authority.
const AuthorityFile = "authority.pem"

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
	}
}

func makeKey(dir, name string, authority *x509.Certificate, signer *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	t := template(name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	cert, err := x509.CreateCertificate(rand.Reader, t, authority, key.Public(), signer)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return os.WriteFile(filepath.Join(dir, name+".pem"), both, 0o600)
}

// ReadKeys returns what a process of that name needs for its connections: mutual TLS 1.3.
func ReadKeys(dir, process string) (*tls.Config, error) {
	own := filepath.Join(dir, process+".pem")
	cert, err := tls.LoadX509KeyPair(own, own)
	if err != nil {
		return nil, fmt.Errorf("live: keys: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, AuthorityFile))
	if err != nil {
		return nil, fmt.Errorf("live: keys: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("live: keys: %s has no certificate", filepath.Join(dir, AuthorityFile))
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, nil
}
