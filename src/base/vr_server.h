/*
 * vr_server.h
 *		What differs between minor releases of a server, found out by trying.
 *		Differences between major ones are in vr_compat.h.
 */
#ifndef VR_SERVER_H
#define VR_SERVER_H

/*
 * Whether rows that an ordered index scan has rechecked and put in order keep
 * their ctid. Where they do not, SELECT ... FOR UPDATE fails on such a row.
 */
extern bool vr_server_reorder_keeps_ctid(void);

#endif /* VR_SERVER_H */
