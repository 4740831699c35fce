/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the kernel's header: BCC includes it, our programs depend on no kernel option. */
