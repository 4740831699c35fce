/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the kernel's header: the short integer names that BCC's helpers use, on libc's UAPI types. */
#ifndef HOPSPAN_SHIM_TYPES_H
#define HOPSPAN_SHIM_TYPES_H

#include <uapi/linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned long size_t;
typedef unsigned long uintptr_t;
typedef _Bool bool;

#endif
