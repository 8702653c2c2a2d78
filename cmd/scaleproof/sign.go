package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"scaleproof/internal/sshsig"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// passphraseVariable has the passphrase of a signing key where there is no
// terminal to ask at.
const passphraseVariable = "SCALEPROOF_KEY_PASSPHRASE"

func (a *app) signCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sign RUN --key KEY --as NAME",
		Short: "Sign a report, and answer for items of its definition of done",
		Long: `sign signs report.json of the folder RUN with an SSH key, as it is and at this time.
With --item it answers for items of the definition of done that nothing has measured;
what failed can't be signed for. The statement and its signature go into
RUN/signatures, and the pages are written anew.

scaleproof verify checks the signatures; ssh-keygen -Y verify -n scaleproof does too.`,
		Example: `  scaleproof sign scaleproof-demo --key ~/.ssh/id_ed25519 --as jane@example.com --item documentation`,
		Args:    cobra.ExactArgs(1),
	}
	keyPath := cmd.Flags().String("key", "", "the private SSH key (required)")
	name := cmd.Flags().String("as", "", "the signer's name, as the list of signers has it (required)")
	items := cmd.Flags().StringSlice("item", nil, "an item to answer for, by its id (repeatable)")
	note := cmd.Flags().String("note", "", "what else to say")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *keyPath == "" || *name == "" {
			return usagef("a signature needs a key and a name: --key ~/.ssh/id_ed25519 --as jane@example.com")
		}
		signer, err := a.readKey(*keyPath)
		if err != nil {
			return &usageError{err}
		}
		report, err := reports.Sign(args[0], signer, reports.Statement{Name: *name, At: time.Now(), Items: *items, Note: *note})
		if errors.Is(err, reports.ErrUnwritten) {
			return &validation.EnvironmentError{Err: err}
		}
		if err != nil {
			return &usageError{err}
		}
		if err := reports.WriteForms(args[0], report); err != nil {
			return &validation.EnvironmentError{Err: fmt.Errorf("writing the signed pages: %w", err)}
		}
		fmt.Fprintf(a.err, "Signed as %s, key %s.\n", *name, ssh.FingerprintSHA256(signer.PublicKey()))
		return nil
	}
	return cmd
}

// readKey reads a private key, and asks for its passphrase where it has one.
func (a *app) readKey(path string) (ssh.Signer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(data)
	if locked := (*ssh.PassphraseMissingError)(nil); !errors.As(err, &locked) {
		if err != nil {
			return nil, fmt.Errorf("reading the key %s: %w", path, err)
		}
		return signer, nil
	}
	passphrase, err := a.passphrase(path)
	if err != nil {
		return nil, err
	}
	signer, err = ssh.ParsePrivateKeyWithPassphrase(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("reading the key %s: %w", path, err)
	}
	return signer, nil
}

func (a *app) passphrase(path string) ([]byte, error) {
	if text, ok := a.lookup(passphraseVariable); ok {
		return []byte(text), nil
	}
	file, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil, fmt.Errorf("the key %s has a passphrase: give it by %s", path, passphraseVariable)
	}
	fmt.Fprintf(a.err, "Passphrase of %s: ", path)
	passphrase, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return nil, fmt.Errorf("asking for the passphrase: %w", err)
	}
	return passphrase, nil
}

func (a *app) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify RUN",
		Short: "Check the signatures of a report",
		Long: `verify holds each signature in RUN/signatures against report.json and, with --signers,
against the keys that belong to its name. Exit code 0: there is one, and all are valid;
1: one is not; 3: there is none.`,
		Args: cobra.ExactArgs(1),
	}
	list := cmd.Flags().String("signers", "", "who may sign with which key: an allowed signers file of ssh-keygen")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		report, err := reports.ReadSigned(args[0])
		if err != nil {
			return &usageError{err}
		}
		if *list != "" {
			signers, err := readSigners(*list)
			if err != nil {
				return &usageError{err}
			}
			report.CheckSigners(signers)
		}
		if len(report.Signatures) == 0 {
			fmt.Fprintln(a.out, "The report has no signature.")
			return verdict(reports.Unsure)
		}
		word := reports.Pass
		for _, s := range report.Signatures {
			if s.Problem != "" {
				word = reports.Fail
			}
		}
		if err := reports.WriteSignatures(a.out, report, a.style()); err != nil {
			return err
		}
		return verdict(word)
	}
	return cmd
}

func readSigners(path string) (*sshsig.Signers, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the list of signers: %w", err)
	}
	defer f.Close()
	return sshsig.ReadSigners(f)
}
