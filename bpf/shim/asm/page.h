/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the kernel's header, which BCC's helpers include for this one constant. */
#define PAGE_SIZE 4096
