declare <8 x double> @llvm.fma.v8f64(<8 x double>, <8 x double>, <8 x double>)
declare <8 x float> @llvm.fabs.v8f32(<8 x float>)
declare <8 x float> @llvm.fma.v8f32(<8 x float>, <8 x float>, <8 x float>)
declare double @llvm.fabs.f64(double)
declare double @llvm.fma.f64(double, double, double)
declare i64 @llvm.fshl.i64(i64, i64, i64)
@flambeau.two_over_pi = internal unnamed_addr constant [21 x i64] [i64 0, i64 -6703182060581546711, i64 -277156292786332224, i64 -2638381946312093631, i64 -121206125134887583, i64 -5249950069107600672, i64 452944820249399836, i64 -135693905287338178, i64 -1692731182770600828, i64 -1613291254968254911, i64 4148332274289687028, i64 -7168499653074671557, i64 2303758334597371919, i64 -1211730484530615009, i64 7869616827067468215, i64 5712322887342352941, i64 8441921394348257659, i64 4397547296490951402, i64 7780917995555872008, i64 6197850593633725355, i64 -1094449336203069923], align 64
define internal <8 x float> @flambeau.sin.v8f32(<8 x float> %x0) nounwind {
entry:
  %v0 = fpext <8 x float> %x0 to <8 x double>
  %v1 = call <8 x double> @llvm.fma.v8f64(<8 x double> %v0, <8 x double> splat (double 0x3FE45F306DC9C883), <8 x double> splat (double 0x4338000000000000))
  %v2 = fsub <8 x double> %v1, splat (double 0x4338000000000000)
  %v3 = call <8 x double> @llvm.fma.v8f64(<8 x double> %v2, <8 x double> splat (double 0xBFF921FB54400000), <8 x double> %v0)
  %v4 = call <8 x double> @llvm.fma.v8f64(<8 x double> %v2, <8 x double> splat (double 0xBDD0B4611A626331), <8 x double> %v3)
  %v5 = fptrunc <8 x double> %v2 to <8 x float>
  %v6 = fptrunc <8 x double> %v4 to <8 x float>
  %v7 = call <8 x float> @llvm.fabs.v8f32(<8 x float> %x0)
  %v8 = fcmp ogt <8 x float> %v7, splat (float 0x4139064000000000)
  %v9 = call <8 x float> @llvm.fabs.v8f32(<8 x float> %x0)
  %v10 = fcmp olt <8 x float> %v9, splat (float 0x7FF0000000000000)
  %v11 = and <8 x i1> %v8, %v10
  %v12 = bitcast <8 x i1> %v11 to i8
  %v13 = icmp ne i8 %v12, 0
  br i1 %v13, label %rare, label %join
rare:
  br label %lanes
lanes:
  %lane = phi i64 [ 0, %rare ], [ %next, %lanes ]
  %old0 = phi <8 x float> [ zeroinitializer, %rare ], [ %new0, %lanes ]
  %old1 = phi <8 x float> [ zeroinitializer, %rare ], [ %new1, %lanes ]
  %v14 = extractelement <8 x float> %x0, i64 %lane
  %v15 = fpext float %v14 to double
  %v16 = call double @llvm.fabs.f64(double %v15)
  %v17 = bitcast double %v16 to i64
  %v18 = and i64 %v17, 4503599627370495
  %v19 = or i64 %v18, 4503599627370496
  %v20 = lshr i64 %v17, 52
  %v21 = sub i64 %v20, 1013
  %v22 = lshr i64 %v21, 6
  %v23 = and i64 %v21, 63
  %v24 = add i64 %v22, 0
  %v25 = icmp sgt i64 %v24, 20
  %v26 = select i1 %v25, i64 20, i64 %v24
  %v27 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v26
  %v28 = load i64, ptr %v27, align 8
  %v29 = add i64 %v22, 1
  %v30 = icmp sgt i64 %v29, 20
  %v31 = select i1 %v30, i64 20, i64 %v29
  %v32 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v31
  %v33 = load i64, ptr %v32, align 8
  %v34 = add i64 %v22, 2
  %v35 = icmp sgt i64 %v34, 20
  %v36 = select i1 %v35, i64 20, i64 %v34
  %v37 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v36
  %v38 = load i64, ptr %v37, align 8
  %v39 = add i64 %v22, 3
  %v40 = icmp sgt i64 %v39, 20
  %v41 = select i1 %v40, i64 20, i64 %v39
  %v42 = getelementptr inbounds i64, ptr @flambeau.two_over_pi, i64 %v41
  %v43 = load i64, ptr %v42, align 8
  %v44 = call i64 @llvm.fshl.i64(i64 %v28, i64 %v33, i64 %v23)
  %v45 = call i64 @llvm.fshl.i64(i64 %v33, i64 %v38, i64 %v23)
  %v46 = call i64 @llvm.fshl.i64(i64 %v38, i64 %v43, i64 %v23)
  %v47 = zext i64 %v19 to i128
  %v48 = zext i64 %v45 to i128
  %v49 = mul i128 %v47, %v48
  %v50 = zext i64 %v46 to i128
  %v51 = mul i128 %v47, %v50
  %v52 = lshr i128 %v51, 64
  %v53 = add i128 %v49, %v52
  %v54 = mul i64 %v19, %v44
  %v55 = zext i64 %v54 to i128
  %v56 = shl i128 %v55, 64
  %v57 = add i128 %v53, %v56
  %v58 = add i128 %v57, 42535295865117307932921825928971026432
  %v59 = lshr i128 %v58, 126
  %v60 = shl i128 %v57, 2
  %v61 = lshr i128 %v60, 64
  %v62 = trunc i128 %v61 to i64
  %v63 = trunc i128 %v60 to i64
  %v64 = ashr i64 %v62, 32
  %v65 = and i64 %v62, 4294967295
  %v66 = lshr i64 %v63, 32
  %v67 = and i64 %v63, 4294967295
  %v68 = trunc i128 %v59 to i64
  %v69 = sitofp i64 %v68 to double
  %v70 = sitofp i64 %v64 to double
  %v71 = fmul double %v70, 0x3DF0000000000000
  %v72 = sitofp i64 %v65 to double
  %v73 = fmul double %v72, 0x3BF0000000000000
  %v74 = sitofp i64 %v66 to double
  %v75 = fmul double %v74, 0x39F0000000000000
  %v76 = sitofp i64 %v67 to double
  %v77 = fmul double %v76, 0x37F0000000000000
  %v78 = fadd double %v71, %v73
  %v79 = fsub double %v71, %v78
  %v80 = fadd double %v79, %v73
  %v81 = fadd double %v78, %v75
  %v82 = fsub double %v81, %v78
  %v83 = fsub double %v81, %v82
  %v84 = fsub double %v78, %v83
  %v85 = fsub double %v75, %v82
  %v86 = fadd double %v84, %v85
  %v87 = fadd double %v80, %v86
  %v88 = fadd double %v87, %v77
  %v89 = fadd double %v81, %v88
  %v90 = fsub double %v89, %v81
  %v91 = fsub double %v89, %v90
  %v92 = fsub double %v81, %v91
  %v93 = fsub double %v88, %v90
  %v94 = fadd double %v92, %v93
  %v95 = fmul double %v89, 0x3FF921FB54442D18
  %v96 = fneg double %v95
  %v97 = call double @llvm.fma.f64(double %v89, double 0x3FF921FB54442D18, double %v96)
  %v98 = fmul double %v89, 0x3C91A62633145C07
  %v99 = fmul double %v94, 0x3FF921FB54442D18
  %v100 = fadd double %v98, %v99
  %v101 = fadd double %v97, %v100
  %v102 = fadd double %v95, %v101
  %v103 = fsub double %v95, %v102
  %v104 = fadd double %v103, %v101
  %v105 = fcmp olt double %v15, 0x0000000000000000
  %v106 = fneg double %v69
  %v107 = select i1 %v105, double %v106, double %v69
  %v108 = fneg double %v102
  %v109 = select i1 %v105, double %v108, double %v102
  %v110 = fneg double %v104
  %v111 = select i1 %v105, double %v110, double %v104
  %v112 = fptrunc double %v107 to float
  %v113 = fptrunc double %v109 to float
  %new0 = insertelement <8 x float> %old0, float %v112, i64 %lane
  %new1 = insertelement <8 x float> %old1, float %v113, i64 %lane
  %next = add nuw nsw i64 %lane, 1
  %last = icmp eq i64 %next, 8
  br i1 %last, label %join, label %lanes
join:
  %rare0 = phi <8 x float> [ %v5, %entry ], [ %new0, %lanes ]
  %rare1 = phi <8 x float> [ %v6, %entry ], [ %new1, %lanes ]
  %v114 = select <8 x i1> %v11, <8 x float> %rare0, <8 x float> %v5
  %v115 = select <8 x i1> %v11, <8 x float> %rare1, <8 x float> %v6
  %v116 = fadd <8 x float> %v114, splat (float 0x4168000000000000)
  %v117 = fmul <8 x float> %v115, %v115
  %v118 = fmul <8 x float> %v117, splat (float 0x3FE0000000000000)
  %v119 = fsub <8 x float> splat (float 0x3FF0000000000000), %v118
  %v120 = fmul <8 x float> %v117, %v117
  %v121 = call <8 x float> @llvm.fma.v8f32(<8 x float> splat (float 0x3EF99E80C0000000), <8 x float> %v117, <8 x float> splat (float 0xBF56C0C280000000))
  %v122 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v121, <8 x float> %v117, <8 x float> splat (float 0x3FA55554A0000000))
  %v123 = fmul <8 x float> %v120, %v122
  %v124 = fsub <8 x float> splat (float 0x3FF0000000000000), %v119
  %v125 = fsub <8 x float> %v124, %v118
  %v126 = fadd <8 x float> %v125, %v123
  %v127 = fmul <8 x float> %v115, %v117
  %v128 = call <8 x float> @llvm.fma.v8f32(<8 x float> splat (float 0x3EC7C2E4A0000000), <8 x float> %v117, <8 x float> splat (float 0xBF2A059540000000))
  %v129 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v128, <8 x float> %v117, <8 x float> splat (float 0x3F81111740000000))
  %v130 = call <8 x float> @llvm.fma.v8f32(<8 x float> %v129, <8 x float> %v117, <8 x float> splat (float 0xBFC5555560000000))
  %v131 = fmul <8 x float> %v127, %v130
  %v132 = bitcast <8 x float> %v116 to <8 x i32>
  %v133 = and <8 x i32> %v132, splat (i32 1)
  %v134 = icmp ne <8 x i32> %v133, splat (i32 0)
  %v135 = fadd <8 x float> %v119, %v126
  %v136 = fadd <8 x float> %v115, %v131
  %v137 = select <8 x i1> %v134, <8 x float> %v135, <8 x float> %v136
  %v138 = bitcast <8 x float> %v137 to <8 x i32>
  %v139 = and <8 x i32> %v132, splat (i32 2)
  %v140 = shl <8 x i32> %v139, splat (i32 30)
  %v141 = xor <8 x i32> %v138, %v140
  %v142 = bitcast <8 x i32> %v141 to <8 x float>
  %v143 = fcmp oeq <8 x float> %x0, splat (float 0x0000000000000000)
  %v144 = select <8 x i1> %v143, <8 x float> %x0, <8 x float> %v142
  ret <8 x float> %v144
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
