package loadgen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLS says how https targets are met. The zero value trusts the system's
// certificate authorities and shows no certificate of its own.
type TLS struct {
	// Insecure accepts any certificate.
	Insecure bool `yaml:"insecure" json:"insecure,omitempty"`
	// CA is a file of certificate authorities (PEM) to trust in place of the
	// system's; Cert and Key are the client's.
	CA   string `yaml:"ca" json:"ca,omitempty"`
	Cert string `yaml:"cert" json:"cert,omitempty"`
	Key  string `yaml:"key" json:"key,omitempty"`
	// ServerName is the name that the certificate must bear. "": the target's
	// host.
	ServerName string `yaml:"server_name" json:"server_name,omitempty"`
}

// config makes what crypto/tls takes; it reads the files of t by read.
func (t TLS) config(read func(path string) ([]byte, error)) (*tls.Config, error) {
	c := &tls.Config{InsecureSkipVerify: t.Insecure, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := read(t.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading the certificate authorities: %s holds no certificate in PEM", t.CA)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("a client's certificate and its key go together: give both or none")
	}
	if t.Cert != "" {
		pair, err := t.pair(read)
		if err != nil {
			return nil, fmt.Errorf("reading the client's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (t TLS) pair(read func(path string) ([]byte, error)) (tls.Certificate, error) {
	cert, err := read(t.Cert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := read(t.Key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
