package testcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

// The contexts of the cluster's kubeconfig, which are named as their users: one
// in system:masters, and one without any right but those that a test gives.
const (
	AdminContext   = "test"
	LimitedContext = "limited"
)

// kubeconfig is of both users. The API server signs its own certificate.
const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: "https://NODE:6443", insecure-skip-tls-verify: true}
users:
- name: test
  user: {token: "ADMIN"}
- name: limited
  user: {token: "LIMITED"}
contexts:
- name: test
  context: {cluster: test, user: test}
- name: limited
  context: {cluster: test, user: limited}
current-context: test
`

// writeCredentials writes the keys, the tokens and the kubeconfig.
func (c *Cluster) writeCredentials() error {
	admin, limited := rand.Text(), rand.Text()
	config := strings.NewReplacer("NODE", nodeIP, "ADMIN", admin, "LIMITED", limited).Replace(kubeconfig)
	tokens := admin + ",test,1,system:masters\n" + limited + ",limited,2\n"
	for name, text := range map[string]string{"kubeconfig": config, "tokens.csv": tokens} {
		if err := c.write(name, text); err != nil {
			return err
		}
	}
	if _, err := c.writeKey("service-account.key"); err != nil {
		return err
	}
	return c.writeProxyCertificate()
}

// writeProxyCertificate writes the authority, and the certificate from it, by
// which the API server shows itself to metrics-server.
func (c *Cluster) writeProxyCertificate() error {
	authorityKey, err := c.writeKey("proxy-ca.key")
	if err != nil {
		return err
	}
	key, err := c.writeKey("proxy.key")
	if err != nil {
		return err
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "front-proxy-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	client := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "front-proxy-client"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if err := c.writeCertificate("proxy-ca.crt", authority, authority, authorityKey, authorityKey); err != nil {
		return err
	}
	return c.writeCertificate("proxy.crt", client, authority, key, authorityKey)
}

func (c *Cluster) writeCertificate(name string, subject, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, subject, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	return c.write(name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func (c *Cluster) writeKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", name, err)
	}
	return key, c.write(name, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
}

// write writes a file of the cluster's folder, for its owner alone.
func (c *Cluster) write(name, text string) error {
	if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the cluster's %s: %w", name, err)
	}
	return nil
}
