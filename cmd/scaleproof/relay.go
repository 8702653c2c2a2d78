package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"scaleproof/internal/validation"
	"scaleproof/loadgen/fleet"
)

// relayCommand is what runs between workers and a coordinator that they can't dial.
func (a *app) relayCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "relay", Short: "Joins the workers of a load with their coordinator", Hidden: true, Args: cobra.NoArgs}
	listen := cmd.Flags().String("listen", "", "HOST:PORT that workers dial")
	control := cmd.Flags().String("control", "", "HOST:PORT that the coordinator dials")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		interrupts := a.interrupts(cmd.Context(), "Interrupted: ending the relay.")
		defer interrupts.stop()
		workers, err := net.Listen("tcp", *listen)
		if err != nil {
			return &validation.EnvironmentError{Err: fmt.Errorf("listening for workers: %w", err)}
		}
		coordinator, err := net.Listen("tcp", *control)
		if err != nil {
			return &validation.EnvironmentError{Err: fmt.Errorf("listening for the coordinator: %w", err)}
		}
		if err := fleet.Relay(interrupts.first, workers, coordinator, 0); interrupts.first.Err() == nil {
			return &validation.EnvironmentError{Err: fmt.Errorf("relay: %w", err)}
		}
		return nil
	}
	return cmd
}
