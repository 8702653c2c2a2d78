package main

import (
	"context"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/internal/validation"
)

// A liveObject is an autoscaler of a cluster, none where the name is empty.
type liveObject struct{ name, kubeContext, namespace string }

func liveFlags(cmd *cobra.Command, what string) *liveObject {
	o := &liveObject{}
	cmd.Flags().StringVar(&o.name, "live", "", "name of a "+what)
	cmd.Flags().StringVar(&o.kubeContext, "context", "", "kubectl's context of --live")
	cmd.Flags().StringVar(&o.namespace, "namespace", "", "namespace of --live")
	return o
}

// check asks for the place, which is never left to what kubectl happens to be at.
func (o *liveObject) check() error {
	if o.name != "" && (o.kubeContext == "" || o.namespace == "") {
		return usagef("--live needs --context and --namespace")
	}
	return nil
}

func (o *liveObject) hpa(ctx context.Context) (*capacity.HPA, error) {
	return validation.LiveHPA(ctx, validation.NewKubernetes(o.kubeContext, o.namespace), o.name)
}

func (o *liveObject) vpa(ctx context.Context) (map[string]capacity.VPARecommendation, error) {
	return validation.LiveVPA(ctx, validation.NewKubernetes(o.kubeContext, o.namespace), o.name)
}
