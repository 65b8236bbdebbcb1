/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_DMABUF_H__
#define __KVM_DMABUF_H__

#include <linux/kvm_host.h>

#ifdef CONFIG_HAVE_KVM_DMABUF
int kvm_dmabuf_bind(struct kvm *kvm, struct kvm_memory_slot *slot, int fd,
		    u64 offset);
void kvm_dmabuf_unbind(struct kvm_memory_slot *slot);
void kvm_dmabuf_unbind_all(struct kvm *kvm);
#else
static inline int kvm_dmabuf_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
				  int fd, u64 offset)
{
	WARN_ON_ONCE(1);
	return -EIO;
}

static inline void kvm_dmabuf_unbind(struct kvm_memory_slot *slot)
{
	WARN_ON_ONCE(1);
}

static inline void kvm_dmabuf_unbind_all(struct kvm *kvm)
{
}
#endif /* CONFIG_HAVE_KVM_DMABUF */

#endif /* __KVM_DMABUF_H__ */
