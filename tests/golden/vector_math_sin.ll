declare <8 x float> @llvm.fabs.v8f32(<8 x float>)
declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
declare double @llvm.fabs.f64(double)
declare double @llvm.fma.f64(double, double, double)
declare i64 @llvm.fshl.i64(i64, i64, i64)
@flambeau.two_over_pi = internal unnamed_addr constant [21 x i64] [i64 0, i64 -6703182060581546711, i64 -277156292786332224, i64 -2638381946312093631, i64 -121206125134887583, i64 -5249950069107600672, i64 452944820249399836, i64 -135693905287338178, i64 -1692731182770600828, i64 -1613291254968254911, i64 4148332274289687028, i64 -7168499653074671557, i64 2303758334597371919, i64 -1211730484530615009, i64 7869616827067468215, i64 5712322887342352941, i64 8441921394348257659, i64 4397547296490951402, i64 7780917995555872008, i64 6197850593633725355, i64 -1094449336203069923], align 64
define internal <8 x float> @flambeau.sin.v8f32(<8 x float> %x0) nounwind {
entry:
  %v0 = call <8 x float> @llvm.fma.v8f32(<8 x float> %x0, <8 x float> splat (float 0x3FE45F3060000000), <8 x float> splat (float 0x4168000000000000))
  %v1 = fsub <8 x float> %v0, splat (float 0x4168000000000000)
  %v2 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v1, <8 x float> splat (float 0xBFF921FB60000000), <8 x float> %x0)
  %v3 = fmul <8 x float> %v1, splat (float 0xBE6777A5C0000000)
  %v4 = fneg <8 x float> %v3
  %v5 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v1, <8 x float> splat (float 0xBE6777A5C0000000), <8 x float> %v4)
  %v6 = fsub <8 x float> %v2, %v3
  %v7 = fsub <8 x float> %v2, %v6
  %v8 = fsub <8 x float> %v7, %v3
  %v9 = fsub <8 x float> %v8, %v5
  %v10 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v1, <8 x float> splat (float 0x3CDEE59DA0000000), <8 x float> %v9)
  %v11 = call <8 x float> @llvm.fabs.v8f32(<8 x float> %x0)
  %v12 = fcmp ogt <8 x float> %v11, splat (float 0x40F8E70000000000)
  %v13 = call <8 x float> @llvm.fabs.v8f32(<8 x float> %x0)
  %v14 = fcmp olt <8 x float> %v13, splat (float 0x7FF0000000000000)
  %v15 = and <8 x i1> %v12, %v14
  %v16 = bitcast <8 x i1> %v15 to i8
  %v17 = icmp ne i8 %v16, 0
  br i1 %v17, label %rare, label %join
rare:
  br label %lanes
lanes:
  %lane = phi i64 [ 0, %rare ], [ %next, %lanes ]
  %old0 = phi <8 x float> [ zeroinitializer, %rare ], [ %new0, %lanes ]
  %old1 = phi <8 x float> [ zeroinitializer, %rare ], [ %new1, %lanes ]
  %old2 = phi <8 x float> [ zeroinitializer, %rare ], [ %new2, %lanes ]
  %v18 = extractelement <8 x float> %x0, i64 %lane
  %v19 = fpext float %v18 to double
  %v20 = call double @llvm.fabs.f64(double %v19)
  %v21 = bitcast double %v20 to i64
  %v22 = and i64 %v21, 4503599627370495
  %v23 = or i64 %v22, 4503599627370496
  %v24 = lshr i64 %v21, 52
  %v25 = sub i64 %v24, 1013
  %v26 = lshr i64 %v25, 6
  %v27 = and i64 %v25, 63
  %v28 = add i64 %v26, 0
  %v29 = icmp sgt i64 %v28, 20
  %v30 = select i1 %v29, i64 20, i64 %v28
  %v31 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v30
  %v32 = load i64, ptr %v31, align 8
  %v33 = add i64 %v26, 1
  %v34 = icmp sgt i64 %v33, 20
  %v35 = select i1 %v34, i64 20, i64 %v33
  %v36 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v35
  %v37 = load i64, ptr %v36, align 8
  %v38 = add i64 %v26, 2
  %v39 = icmp sgt i64 %v38, 20
  %v40 = select i1 %v39, i64 20, i64 %v38
  %v41 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v40
  %v42 = load i64, ptr %v41, align 8
  %v43 = add i64 %v26, 3
  %v44 = icmp sgt i64 %v43, 20
  %v45 = select i1 %v44, i64 20, i64 %v43
  %v46 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v45
  %v47 = load i64, ptr %v46, align 8
  %v48 = call i64 @llvm.fshl.i64(i64 %v32, i64 %v37, i64 %v27)
  %v49 = call i64 @llvm.fshl.i64(i64 %v37, i64 %v42, i64 %v27)
  %v50 = call i64 @llvm.fshl.i64(i64 %v42, i64 %v47, i64 %v27)
  %v51 = zext i64 %v23 to i128
  %v52 = zext i64 %v49 to i128
  %v53 = mul i128 %v51, %v52
  %v54 = zext i64 %v50 to i128
  %v55 = mul i128 %v51, %v54
  %v56 = lshr i128 %v55, 64
  %v57 = add i128 %v53, %v56
  %v58 = mul i64 %v23, %v48
  %v59 = zext i64 %v58 to i128
  %v60 = shl i128 %v59, 64
  %v61 = add i128 %v57, %v60
  %v62 = add i128 %v61, 42535295865117307932921825928971026432
  %v63 = lshr i128 %v62, 126
  %v64 = shl i128 %v61, 2
  %v65 = lshr i128 %v64, 64
  %v66 = trunc i128 %v65 to i64
  %v67 = trunc i128 %v64 to i64
  %v68 = ashr i64 %v66, 32
  %v69 = and i64 %v66, 4294967295
  %v70 = lshr i64 %v67, 32
  %v71 = and i64 %v67, 4294967295
  %v72 = trunc i128 %v63 to i64
  %v73 = sitofp i64 %v72 to double
  %v74 = sitofp i64 %v68 to double
  %v75 = fmul double %v74, 0x3DF0000000000000
  %v76 = sitofp i64 %v69 to double
  %v77 = fmul double %v76, 0x3BF0000000000000
  %v78 = sitofp i64 %v70 to double
  %v79 = fmul double %v78, 0x39F0000000000000
  %v80 = sitofp i64 %v71 to double
  %v81 = fmul double %v80, 0x37F0000000000000
  %v82 = fadd double %v75, %v77
  %v83 = fsub double %v75, %v82
  %v84 = fadd double %v83, %v77
  %v85 = fadd double %v82, %v79
  %v86 = fsub double %v85, %v82
  %v87 = fsub double %v85, %v86
  %v88 = fsub double %v82, %v87
  %v89 = fsub double %v79, %v86
  %v90 = fadd double %v88, %v89
  %v91 = fadd double %v84, %v90
  %v92 = fadd double %v91, %v81
  %v93 = fadd double %v85, %v92
  %v94 = fsub double %v93, %v85
  %v95 = fsub double %v93, %v94
  %v96 = fsub double %v85, %v95
  %v97 = fsub double %v92, %v94
  %v98 = fadd double %v96, %v97
  %v99 = fmul double %v93, 0x3FF921FB54442D18
  %v100 = fneg double %v99
  %v101 = call double @llvm.fma.f64(double %v93, double 0x3FF921FB54442D18, double %v100)
  %v102 = fmul double %v93, 0x3C91A62633145C07
  %v103 = fmul double %v98, 0x3FF921FB54442D18
  %v104 = fadd double %v102, %v103
  %v105 = fadd double %v101, %v104
  %v106 = fadd double %v99, %v105
  %v107 = fsub double %v99, %v106
  %v108 = fadd double %v107, %v105
  %v109 = fcmp olt double %v19, 0x0000000000000000
  %v110 = fneg double %v73
  %v111 = select i1 %v109, double %v110, double %v73
  %v112 = fneg double %v106
  %v113 = select i1 %v109, double %v112, double %v106
  %v114 = fneg double %v108
  %v115 = select i1 %v109, double %v114, double %v108
  %v116 = fptrunc double %v111 to float
  %v117 = fptrunc double %v113 to float
  %v118 = fpext float %v117 to double
  %v119 = fsub double %v113, %v118
  %v120 = fptrunc double %v119 to float
  %new0 = insertelement <8 x float> %old0, float %v116, i64 %lane
  %new1 = insertelement <8 x float> %old1, float %v117, i64 %lane
  %new2 = insertelement <8 x float> %old2, float %v120, i64 %lane
  %next = add nuw nsw i64 %lane, 1
  %last = icmp eq i64 %next, 8
  br i1 %last, label %join, label %lanes
join:
  %rare0 = phi <8 x float> [ %v1, %entry ], [ %new0, %lanes ]
  %rare1 = phi <8 x float> [ %v6, %entry ], [ %new1, %lanes ]
  %rare2 = phi <8 x float> [ %v10, %entry ], [ %new2, %lanes ]
  %v121 = select <8 x i1> %v15, <8 x float> %rare0, <8 x float> %v1
  %v122 = select <8 x i1> %v15, <8 x float> %rare1, <8 x float> %v6
  %v123 = select <8 x i1> %v15, <8 x float> %rare2, <8 x float> %v10
  %v124 = fadd <8 x float> %v121, splat (float 0x4168000000000000)
  %v125 = fmul <8 x float> %v122, %v122
  %v126 = call <8 x float> @llvm.fma.v8f32(<8 x float> splat (float 0x3EF99E80C0000000), <8 x float> %v125, <8 x float> splat (float 0xBF56C0C280000000))
  %v127 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v126, <8 x float> %v125, <8 x float> splat (float 0x3FA55554A0000000))
  %v128 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v125, <8 x float> %v127, <8 x float> splat (float 0xBFE0000000000000))
  %v129 = fmul <8 x float> %v125, %v128
  %v130 = fneg <8 x float> %v122
  %v131 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v130, <8 x float> %v123, <8 x float> %v129)
  %v132 = fmul <8 x float> %v122, %v125
  %v133 = call <8 x float> @llvm.fma.v8f32(<8 x float> splat (float 0x3EC7C2E4A0000000), <8 x float> %v125, <8 x float> splat (float 0xBF2A059540000000))
  %v134 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v133, <8 x float> %v125, <8 x float> splat (float 0x3F81111740000000))
  %v135 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v134, <8 x float> %v125, <8 x float> splat (float 0xBFC5555560000000))
  %v136 = fmul <8 x float> %v132, %v135
  %v137 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v123, <8 x float> splat (float 0x3FF0000000000000), <8 x float> %v136)
  %v138 = bitcast <8 x float> %v124 to <8 x i32>
  %v139 = and <8 x i32> %v138, splat (i32 1)
  %v140 = icmp ne <8 x i32> %v139, splat (i32 0)
  %v141 = fadd <8 x float> splat (float 0x3FF0000000000000), %v131
  %v142 = fadd <8 x float> %v122, %v137
  %v143 = select <8 x i1> %v140, <8 x float> %v141, <8 x float> %v142
  %v144 = bitcast <8 x float> %v143 to <8 x i32>
  %v145 = and <8 x i32> %v138, splat (i32 2)
  %v146 = shl <8 x i32> %v145, splat (i32 30)
  %v147 = xor <8 x i32> %v144, %v146
  %v148 = bitcast <8 x i32> %v147 to <8 x float>
  %v149 = fcmp oeq <8 x float> %x0, splat (float 0x0000000000000000)
  %v150 = select <8 x i1> %v149, <8 x float> %x0, <8 x float> %v148
  ret <8 x float> %v150
}
define void @f(ptr noalias %x0, ptr noalias %y, i64 %n) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %p0 = getelementptr float, ptr %x0, i64 %i
  %a0 = load <8 x float>, ptr %p0, align 4
  %m0 = call <8 x float> @flambeau.sin.v8f32(<8 x float> %a0)
  %q = getelementptr float, ptr %y, i64 %i
  store <8 x float> %m0, ptr %q, align 4
  %next = add i64 %i, 8
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret void
}
